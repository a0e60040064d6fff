// stagger profile --overlap: two copies of an app at once, the body of one some time after the
// other's, and the device's model fitted to how long both take (the paper's section 4.2).
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/time.h"
#include "base/try.h"
#include "console/arguments.h"
#include "device/nvidia.h"
#include "lab/legs/machine.h"
#include "lab/legs/percentile.h"
#include "lab/legs/progress_line.h"
#include "lab/overlap/overlap_gate.h"
#include "lab/overlap/overlap_sweep.h"
#include "lab/verbs.h"
#include "launch/child_process.h"
#include "launch/private_daemon.h"
#include "look/observed_run.h"
#include "look/program_report.h"

namespace stagger::cli {
namespace {

constexpr int kCopies = OverlapGate::kCopies;
constexpr int kLearnAtLeast = 8;      // inferences of each copy, one at a time
constexpr int kLearnAtMost = 80;      // then it goes on with what the agent knows
constexpr int kAloneCounted = 6;      // the last of them, of each copy
constexpr int kTurnsInVain = 200;     // without the end of an inference
constexpr double kMostLeftOut = 0.5;  // of the probes
constexpr Duration kNothing = std::chrono::seconds{30};  // without a turn asked for, a probe ended
constexpr Duration kGrace = std::chrono::seconds{2};
constexpr Duration kLook = std::chrono::milliseconds{200};

struct OverlapSettings {
  int rounds = 12;
  std::uint64_t seed = 1;
  std::optional<Duration> limit;  // of all of it
  bool as_json = false;
};

struct Gpus {
  std::vector<wire::Gpu> known;
  std::vector<std::string> names;  // of the same

  static Gpus Find() {
    Gpus gpus;
    const auto nvidia = device::Nvidia::Open();
    if (!nvidia) return gpus;
    for (const device::Gpu& gpu : (*nvidia)->gpus()) {
      if (gpus.known.size() == wire::kMaxGpus) break;
      const auto number = static_cast<std::uint32_t>(gpus.known.size() + 1);
      gpus.known.push_back({DeviceId{number}, gpu.uuid});
      gpus.names.push_back(fmt::format("gpu:{} ({})", gpu.number, gpu.model));
    }
    return gpus;
  }
  std::string NameOf(DeviceId device) const {
    if (device == wire::kCpuDevice) return "cpu:0";
    return device.value <= names.size() ? names[device.value - 1] : "?";
  }
};

// Two copies and the gate before them.
class Sweep {
 public:
  Sweep(Workplace& place, const Command& command, const OverlapSettings& settings,
        const ScratchDir& scratch, OverlapGate gate)
      : place_(place),
        command_(command),
        settings_(settings),
        scratch_(scratch),
        gate_(std::move(gate)),
        end_(settings.limit ? Now() + *settings.limit : kNever) {}

  Result<void> Run();

  const std::vector<Probe>& probes() const { return probes_; }
  const std::vector<ProbeTimes>& alone() const { return alone_; }
  const std::vector<double>& pre_ms() const { return pre_ms_; }
  int left_out() const { return left_out_; }
  int bystanders() const { return gate_.bystanders(); }
  DeviceId device() const { return device_; }
  bool sure() const { return sure_; }

 private:
  enum class Step : std::uint8_t { kDone, kCopyEnded, kNoTime };

  Result<void> StartCopies();
  void StopCopies();
  // Waits for messages; tells when a copy has ended or time is up.
  std::optional<Step> Await(TimePoint until);
  Result<Step> Learn();
  Result<Step> Probes(SweepOrder* order, const std::vector<double>& offsets);
  Result<Step> TryProbe(const SweepOrder::Next& next, double offset_ms, bool* worked);
  Result<Step> AwaitBothAtTheGate();
  bool BothSure();
  Error CopyFailed() const;

  Workplace& place_;
  const Command& command_;
  const OverlapSettings& settings_;
  const ScratchDir& scratch_;
  OverlapGate gate_;
  const TimePoint end_;
  ProgressLine line_;
  std::vector<ChildProcess> copies_;
  int starts_ = 0;
  std::string reports_;
  std::vector<Probe> probes_;
  std::vector<ProbeTimes> alone_;
  std::vector<double> pre_ms_;
  int left_out_ = 0;
  DeviceId device_{};
  bool sure_ = false;
};

Result<void> Sweep::StartCopies() {
  ++starts_;
  reports_ = scratch_.File(fmt::format("reports-{}", starts_));
  if (mkdir(reports_.c_str(), 0700) != 0) {
    return Error{fmt::format("cannot make {}: {}", reports_, std::strerror(errno))};
  }
  const Environment environment =
      STAGGER_TRY(ReportingEnvironment(place_.installation, scratch_.File("gate.sock"), reports_));
  std::array<pid_t, kCopies> groups{};
  for (int i = 0; i < kCopies; ++i) {
    ChildSpec spec;
    spec.path = command_.path;
    spec.argv = command_.words;
    spec.environment = environment;
    spec.out_file = scratch_.File(fmt::format("copy-{}.out", i + 1));
    spec.err_file = scratch_.File(fmt::format("copy-{}.err", i + 1));
    ChildProcess copy = STAGGER_TRY(ChildProcess::Start(spec, place_.keeper));
    groups[i] = copy.pid();
    copies_.push_back(std::move(copy));
  }
  gate_.Expect(groups);
  return {};
}

void Sweep::StopCopies() {
  std::vector<ChildProcess*> running;
  for (ChildProcess& copy : copies_) running.push_back(&copy);
  StopAll(running, kGrace);
  copies_.clear();
}

Error Sweep::CopyFailed() const {
  for (int i = 0; i < kCopies; ++i) {
    const auto status = const_cast<ChildProcess&>(copies_[i]).Poll();
    if (!status) continue;
    const std::string words = LastLine(scratch_.File(fmt::format("copy-{}.err", i + 1)));
    return Error{fmt::format("a copy of '{}' ended ({}) before a body of it was probed{}{}",
                             command_.words.front(), ToString(*status), words.empty() ? "" : ": ",
                             words)};
  }
  return Error{"the copies ended"};
}

std::optional<Sweep::Step> Sweep::Await(TimePoint until) {
  std::vector<int> others{place_.stop.fd()};
  for (const ChildProcess& copy : copies_) others.push_back(copy.exit_fd());
  gate_.Wait(std::min(until, end_), others);
  if (place_.stop.Raised() || Now() >= end_) return Step::kNoTime;
  for (ChildProcess& copy : copies_) {
    if (copy.Poll()) return Step::kCopyEnded;
  }
  return std::nullopt;
}

bool Sweep::BothSure() {
  std::array<bool, kCopies> sure{};
  for (const ProgramReport& program : ReadReports(reports_)) {
    for (int i = 0; i < kCopies; ++i) {
      if (getpgid(program.pid) != copies_[i].pid()) continue;
      const bool whole_call = program.onnx && !program.onnx->inferences.empty();
      sure[i] = sure[i] || whole_call || (program.cuda && program.cuda->state == "sure");
    }
  }
  return std::ranges::all_of(sure, [](bool one) { return one; });
}

// One inference at a time, in the order of requests, until the agents know where bodies end.
Result<Sweep::Step> Sweep::Learn() {
  std::array<std::vector<OverlapGate::Finished>, kCopies> finished;
  TimePoint quiet_since = Now();
  sure_ = false;
  while (true) {
    if (const auto step = Await(Now() + kLook)) return *step;
    for (int i = 0; i < kCopies; ++i) {
      if (gate_.turns_without_end(i) > kTurnsInVain) {
        return Error{
            "its inferences have no end that can be seen: nothing is copied back or waited "
            "for after a body"};
      }
      const auto one = gate_.TakeFinished(i);
      if (!one) continue;
      quiet_since = Now();
      finished[i].push_back(*one);
      const std::size_t least = std::min(finished[0].size(), finished[1].size());
      line_.Update(fmt::format("learning where bodies begin and end: {} inferences", least));
      if (least < kLearnAtLeast || finished[i].size() % 4 != 0) continue;
      sure_ = BothSure();
      if (!sure_ && least < kLearnAtMost) continue;
      for (const auto& copy : finished) {
        for (std::size_t j = copy.size() - kAloneCounted; j < copy.size(); ++j) {
          alone_.push_back(copy[j].times);
          pre_ms_.push_back(copy[j].pre_ms);
        }
      }
      return Step::kDone;
    }
    if (Now() - quiet_since > kNothing) {
      return Error{
          fmt::format("no inference was seen for {:.0f} s; 'stagger doctor -- CMD' says "
                      "what is controlled",
                      ToMs(kNothing) / 1000)};
    }
    if (gate_.Inferring(0) || gate_.Inferring(1)) continue;
    const bool zero = gate_.AtTheGate(0);
    const bool one = gate_.AtTheGate(1);
    if (!zero && !one) continue;
    gate_.Grant(zero && (!one || gate_.asked(0) <= gate_.asked(1)) ? 0 : 1);
  }
}

Result<Sweep::Step> Sweep::AwaitBothAtTheGate() {
  const TimePoint from = Now();
  while (!gate_.AtTheGate(0) || !gate_.AtTheGate(1)) {
    if (const auto step = Await(Now() + kLook)) return *step;
    for (int i = 0; i < kCopies; ++i) {
      if (gate_.turns_without_end(i) <= kTurnsInVain) continue;
      return Error{"its inferences have no end that can be seen any more"};
    }
    if (Now() - from > kNothing) {
      return Error{
          fmt::format("one of the copies asked for no turn for {:.0f} s", ToMs(kNothing) / 1000)};
    }
  }
  return Step::kDone;
}

Result<Sweep::Step> Sweep::TryProbe(const SweepOrder::Next& next, double offset_ms, bool* worked) {
  Result<Step> ready = AwaitBothAtTheGate();
  if (!ready || *ready != Step::kDone) return ready;
  const int first = next.first;
  const int second = 1 - first;
  if (gate_.device(first) != gate_.device(second)) {
    return Error{"the two copies use different devices; name one, as with CUDA_VISIBLE_DEVICES"};
  }
  device_ = gate_.device(first).value_or(DeviceId{});
  gate_.TakeFinished(0);
  gate_.TakeFinished(1);
  const TimePoint start = Now();
  gate_.Grant(first);
  const TimePoint then = start + FromMs(offset_ms);
  while (Now() < then) {
    if (const auto step = Await(then)) return *step;
  }
  gate_.Grant(second);
  std::array<std::optional<OverlapGate::Finished>, kCopies> finished;
  while (!finished[0] || !finished[1]) {
    if (const auto step = Await(Now() + kLook)) return *step;
    for (int i = 0; i < kCopies; ++i) {
      if (auto one = gate_.TakeFinished(i)) finished[i] = one;
      if (gate_.turns_without_end(i) > kTurnsInVain) return Error{"an inference did not end"};
    }
    if (Now() - then > kNothing) return Error{"an inference did not end"};
  }
  *worked = finished[0]->bodies == 1 && finished[1]->bodies == 1;
  if (*worked) probes_.push_back({offset_ms, finished[first]->times, finished[second]->times});
  return Step::kDone;
}

Result<Sweep::Step> Sweep::Probes(SweepOrder* order, const std::vector<double>& offsets) {
  while (const auto next = order->Take()) {
    line_.Update(fmt::format("probe {} of {}", order->size() - order->left(), order->size()));
    bool worked = false;
    Result<Step> step = TryProbe(*next, offsets[next->offset], &worked);
    if (!step) return step;
    if (*step != Step::kDone) {
      order->PutBack(*next);
      return step;
    }
    if (worked) continue;
    ++left_out_;
    if (left_out_ > 10 && left_out_ > kMostLeftOut * static_cast<double>(probes_.size())) {
      return Error{"its inferences have several bodies each; the model knows one"};
    }
    order->PutBack(*next);
  }
  return Step::kDone;
}

Result<void> Sweep::Run() {
  // So that a grant leaves at its instant, not up to 50 us later.
  prctl(PR_SET_TIMERSLACK, 1000);
  std::optional<SweepOrder> order;
  std::vector<double> offsets;
  while (true) {
    const std::size_t before = probes_.size();
    if (Result<void> started = StartCopies(); !started) return started;
    Result<Step> step = Learn();
    if (step && *step == Step::kDone) {
      if (!order) {
        std::vector<double> totals;
        for (const ProbeTimes& one : alone_) totals.push_back(one.total_ms);
        offsets = SweepOffsets(Median(totals).value_or(0));
        order.emplace(offsets.size(), settings_.rounds, settings_.seed);
      }
      step = Probes(&*order, offsets);
    }
    if (!step) return step.error();
    if (*step == Step::kCopyEnded && probes_.size() == before) return CopyFailed();
    StopCopies();
    if (*step != Step::kCopyEnded) return {};
  }
}

void PrintText(const Command& command, const Sweep& sweep, const std::string& device,
               const SweepFindings& findings) {
  fmt::print(
      "two copies of {} on {}: inference times from the body's start, by how much later the "
      "second one's body started; medians of {} probes\n\n",
      command.words.front(), device, sweep.probes().size());
  fmt::print("{}", ToText(findings));
  fmt::print("before a body: {:.2f} ms (pre)\n", Median(sweep.pre_ms()).value_or(0));
  if (!sweep.sure()) {
    fmt::print("the agent is not sure where bodies begin and end: take this with care\n");
  }
  if (sweep.left_out() > 0) {
    fmt::print("{} probes were repeated: an inference had several bodies\n", sweep.left_out());
  }
  if (sweep.bystanders() > 0) {
    fmt::print("{} bodies of other processes of the app ran beside them\n", sweep.bystanders());
  }
}

void PrintJson(const Command& command, const Sweep& sweep, const std::string& device,
               const SweepFindings& findings) {
  nlohmann::ordered_json json;
  json["command"] = command.words;
  json["device"] = device;
  json["probes"] = sweep.probes().size();
  json["repeated"] = sweep.left_out();
  json["sure"] = sweep.sure();
  json["pre_ms"] = Median(sweep.pre_ms()).value_or(0);
  AddTo(&json, findings);
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

Result<void> RunAndPrint(Workplace& place, const Command& command,
                         const OverlapSettings& settings) {
  const ScratchDir scratch = STAGGER_TRY(ScratchDir::Make(place.keeper));
  const Gpus gpus = Gpus::Find();
  Sweep sweep(place, command, settings, scratch,
              STAGGER_TRY(OverlapGate::Listen(scratch.File("gate.sock"), gpus.known)));
  if (const Result<void> ran = sweep.Run(); !ran) return ran.error();
  if (place.stop.Raised()) return Error{"interrupted"};
  const SweepFindings findings = STAGGER_TRY(Summarise(sweep.probes(), sweep.alone()));
  const std::string device = gpus.NameOf(sweep.device());
  settings.as_json ? PrintJson(command, sweep, device, findings)
                   : PrintText(command, sweep, device, findings);
  return {};
}

int Overlap(const Command& command, const OverlapSettings& settings) {
  Result<Workplace> place = Workplace::Open();
  if (!place) {
    PrintError(place.error().message);
    return kExitFailed;
  }
  const Result<void> done = RunAndPrint(*place, command, settings);
  if (done) return kExitOk;
  PrintError("profile --overlap: " + done.error().message);
  return place->stop.Raised() ? kExitInterrupted : kExitFailed;
}

}  // namespace

int OverlapVerb(const Arguments& arguments) {
  CLI::App app{
      "Runs two copies of an app, the body of one some time after the other's, and fits the "
      "device's model to what that costs.\n"
      "stagger profile --overlap [OPTIONS] -- COMMAND [ARGUMENT...]",
      "stagger profile --overlap"};
  ObservedCommand told;
  OverlapSettings sweep;
  app.add_option("--rounds", sweep.rounds, "how often each offset is tried")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seed", sweep.seed, "of the order of the offsets")->capture_default_str();
  app.footer(
      "Everything after -- is the app's own command line. What the app prints goes to stderr.\n"
      "--seconds bounds the whole sweep; copies that end are started again.");
  if (const auto code = ReadObservedCommand(app, "profile", arguments, &told)) return *code;
  sweep.limit = told.limit;
  sweep.as_json = told.as_json;
  return Overlap(told.command, sweep);
}

}  // namespace stagger::cli
