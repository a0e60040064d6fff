// stagger-relay: what `stagger relay` becomes. One GLib loop on the main thread; frames go from the
// source to the output on the source's thread. Exit codes: 0 ok, 1 failed, 2 bad usage.
#include <fmt/core.h>
#include <glib-unix.h>
#include <gst/gst.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/try.h"
#include "relay/decimator.h"
#include "relay/options.h"
#include "relay/output.h"
#include "relay/source.h"
#include "relay/tally.h"

namespace stagger::relay {
namespace {

constexpr guint kLookEveryMs = 500;
constexpr guint kEndingMs = 200;  // what was handed to the network still has to leave
constexpr int kMostEndingLooks = 5;

void PrintError(const std::string& message) { fmt::print(stderr, "stagger relay: {}\n", message); }

gboolean Quit(gpointer loop) {
  g_main_loop_quit(static_cast<GMainLoop*>(loop));
  return G_SOURCE_CONTINUE;
}

nlohmann::json Summary(const Options& options, const Output& output, const Source& source,
                       const Counts& counts) {
  return {{"source", options.from.shown},
          {"url", output.url()},
          {"fps_required", options.fps},
          {"frames_in", counts.in.frames},
          {"frames_out", counts.out.frames},
          {"skipped", counts.skipped()},
          {"fps_in", counts.in.fps()},
          {"fps_out", counts.out.fps()},
          {"seconds", ToMs(counts.in.last - counts.in.first) / 1000},
          {"reconnects", source.returns()},
          {"clients", output.clients()}};
}

void Print(const Options& options, const Output& output, const Source& source,
           const Counts& counts) {
  if (options.json) {
    fmt::print("{}\n", Summary(options, output, source, counts)
                           .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    std::fflush(stdout);
    return;
  }
  fmt::print(stderr,
             "relay: {} frames in ({:.2f} fps), {} out ({:.2f} fps), {} skipped; clients: {}\n",
             counts.in.frames, counts.in.fps(), counts.out.frames, counts.out.fps(),
             counts.skipped(), output.clients());
}

class Relay {
 public:
  Relay(const Options& options, std::unique_ptr<Output> output)
      : options_(options),
        output_(std::move(output)),
        decimator_(options.fps),
        tally_(options.fps),
        loop_(g_main_loop_new(nullptr, FALSE)) {}
  ~Relay() { g_main_loop_unref(loop_); }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  Result<void> Run();

 private:
  void OnPicture(GstSample* sample, TimePoint at) {
    const bool pass = decimator_.Take(at);
    tally_.Add(at, pass);
    if (pass) output_->Push(sample, at);
  }

  void OnEnded(Result<void> how) {
    result_ = std::move(how);
    output_->Finish();
    const auto look = [](gpointer self) -> gboolean {
      static_cast<Relay*>(self)->LookWhetherFinished();
      return G_SOURCE_CONTINUE;
    };
    g_timeout_add(kEndingMs, look, this);
  }

  void LookWhetherFinished() {
    const bool twice = std::exchange(finished_, output_->finished()) && finished_;
    if (twice || ++ending_looks_ == kMostEndingLooks) g_main_loop_quit(loop_);
  }

  const Options& options_;
  std::unique_ptr<Output> output_;
  Decimator decimator_;  // on the source's thread; a new one only starts once the last has ended
  Tally tally_;
  GMainLoop* loop_;
  Result<void> result_;
  bool finished_ = false;  // at the latest look
  int ending_looks_ = 0;
};

Result<void> Relay::Run() {
  fmt::print(options_.json ? stderr : stdout, "{}\n", output_->url());
  std::fflush(stdout);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) g_unix_signal_add(signal, Quit, loop_);
  const auto look = [](gpointer self) -> gboolean {
    auto* relay = static_cast<Relay*>(self);
    const std::optional<double> slow = relay->tally_.NewlySlow();
    if (slow) {
      fmt::print(stderr,
                 "relay: {}: gives {:.2f} fps, less than the {:g} asked for: passed as it is\n",
                 relay->options_.from.shown, *slow, relay->options_.fps);
    }
    return G_SOURCE_CONTINUE;
  };
  g_timeout_add(kLookEveryMs, look, this);
  Source source(options_.from, options_.loop,
                {.picture = [this](GstSample* sample, TimePoint at) { OnPicture(sample, at); },
                 .ended = [this](Result<void> how) { OnEnded(std::move(how)); }});
  source.Start();
  g_main_loop_run(loop_);
  Print(options_, *output_, source, tally_.counts());
  return result_;
}

Result<void> Main(const Options& options) {
  if (Result<void> readable = CheckReadable(options.from); !readable) return readable;
  GError* error = nullptr;
  if (gst_init_check(nullptr, nullptr, &error) == FALSE) {
    return Error{fmt::format("GStreamer does not start: {}",
                             error != nullptr ? error->message : "no reason given")};
  }
  std::unique_ptr<Output> output =
      STAGGER_TRY(options.to.protocol == Destination::Protocol::kRtsp ? OpenRtspOutput(options)
                                                                      : OpenMjpegOutput(options));
  return Relay(options, std::move(output)).Run();
}

}  // namespace
}  // namespace stagger::relay

int main(int argc, char** argv) {
  using namespace stagger::relay;
  std::signal(SIGPIPE, SIG_IGN);
  const Parsed parsed = ParseOptions(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  const stagger::Result<void> ran = Main(*parsed.options);
  if (!ran) {
    PrintError(ran.error().message);
    return 1;
  }
  return 0;
}
