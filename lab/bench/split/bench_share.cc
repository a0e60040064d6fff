// stagger bench share: eight apps with one model through an executor, beside eight bare ones; what
// forwarding an inference costs; and what batching those that wait together gains, here and, in
// simulation, with a published curve.
#include <fmt/core.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/try.h"
#include "console/arguments.h"
#include "console/table.h"
#include "lab/bench/bench.h"
#include "lab/bench/bench_frame.h"
#include "lab/bench/claims.h"
#include "lab/bench/gate/gate_trial.h"
#include "lab/bench/split/frame_legs.h"
#include "lab/legs/machine.h"
#include "lab/legs/progress_line.h"
#include "lab/scenario/sim_legs.h"

namespace stagger::cli {
namespace {

constexpr double kMegabyte = 1024 * 1024;
constexpr std::size_t kImageBytes = std::size_t{4} * 3 * 300 * 300;  // of the model "pass"
constexpr int kPingPongs = 500;
constexpr double kWeighSeconds = 5;  // the last app is up before the first one ends
constexpr double kBatchLeg = 6;  // so many times as long: what sizes take has to be found out first

struct Settings : BenchOptions {
  Settings() : BenchOptions{3, 2} {}
  int apps = 8;
};

struct Repeat {
  double bare_mb = 0;       // of all apps
  double forwarded_mb = 0;  // of all apps and the executor
  double model_mb = 0;      // what the model adds to one bare app
  double copies = 0;        // of it, forwarded
  bool same = false;
  double bare_us = 0;  // a call of "pass"
  double forwarded_us = 0;
  double ping_pong_us = 0;
  double copy_us = 0;      // one image in, one out, across cores
  double round_trips = 0;  // what forwarding adds beyond the copies, in ping-pongs
  BatchComparison wide;    // a model whose weights take long to read
  BatchComparison heavy;   // one that has to compute
  double wide_gain = 0;    // batched / one by one
  double heavy_gain = 0;
  double heavy_batched = 0;  // the part of its inferences that ran in batches all the same
  bool disturbed = false;
};

// Streams of the published detector, in simulation.
struct Simulated {
  double fps;
  MostStreams most;
};

void StayOn(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

struct Memory {
  double mb = 0;
  std::vector<RunnerReport> reports;
};

// `apps` runners of a model at an easy pace, and what they and their executor weigh.
Result<Memory> Weigh(const Settings& settings, const std::string& model, int apps, bool forwarded,
                     std::pair<int, int> cores, Workplace& place) {
  RunnerSpec spec{.model = model, .seconds = std::max(settings.seconds, kWeighSeconds), .fps = 1};
  FramePlan plan{std::vector(static_cast<std::size_t>(apps), spec)};
  if (forwarded) plan.executors = {cores.first};
  Memory memory;
  std::vector<RunnerReport> reports =
      STAGGER_TRY(plan.Run(place, [&](FrameLeg& leg) -> Result<void> {
        const double bytes = STAGGER_TRY(leg.ProportionalSize());
        memory.mb = bytes / kMegabyte;
        return {};
      }));
  memory.reports = std::move(reports);
  return memory;
}

// The app on one core, the executor on the other.
Result<double> CallUs(const Settings& settings, bool forwarded, std::pair<int, int> cores,
                      Workplace& place) {
  FramePlan plan{{{.model = "pass", .seconds = settings.seconds, .core = cores.first}}};
  if (forwarded) plan.executors = {cores.second};
  return STAGGER_TRY(plan.Run(place)).front().p50_ms * 1000;
}

// A bare packet to a process on the other core and back; and the two copies, in and out of memory
// that the other core has just used, as an executor does.
Result<void> Reference(std::pair<int, int> cores, Repeat* repeat) {
  cpu_set_t before;
  if (sched_getaffinity(0, sizeof before, &before) != 0) return Error{"cannot tell our cores"};
  void* at =
      mmap(nullptr, 2 * kImageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return Error{"no memory to share"};
  const std::unique_ptr<void, void (*)(void*)> shared(
      at, [](void* memory) { munmap(memory, 2 * kImageBytes); });
  auto* input = static_cast<char*>(at);
  char* output = input + kImageBytes;
  Partner toucher = STAGGER_TRY(Partner::Start([&](int fd) {
    StayOn(cores.second);
    char packet[64];
    for (ssize_t size; (size = recv(fd, packet, sizeof packet, 0)) > 0;) {
      if (packet[0] != 0) std::memcpy(output, input, kImageBytes);
      if (send(fd, packet, static_cast<std::size_t>(size), MSG_NOSIGNAL) < 0) return;
    }
  }));
  StayOn(cores.first);
  std::vector<double> times;
  std::vector<double> copies;
  std::vector<char> image(kImageBytes, 1);
  std::vector<char> result(kImageBytes, 2);
  bool good = true;
  for (int i = 0; good && i < kPingPongs; ++i) {
    TimePoint start = Now();
    good = toucher.PingPong();
    times.push_back(ToMs(Now() - start) * 1000);
    if (!good) break;
    start = Now();
    std::memcpy(input, image.data(), kImageBytes);
    Duration copying = Now() - start;
    good = toucher.PingPong(1);
    start = Now();
    std::memcpy(result.data(), output, kImageBytes);
    copying += Now() - start;
    copies.push_back(ToMs(copying) * 1000);
  }
  sched_setaffinity(0, sizeof before, &before);
  if (!good) return Error{"a ping-pong failed"};
  repeat->ping_pong_us = *Median(times);
  repeat->copy_us = *Median(copies);
  return {};
}

Result<Repeat> MeasureOnce(const Settings& settings, std::pair<int, int> cores, Workplace& place) {
  Repeat repeat;
  const Memory empty = STAGGER_TRY(Weigh(settings, "pass", settings.apps, false, cores, place));
  const Memory bare = STAGGER_TRY(Weigh(settings, "heavy", settings.apps, false, cores, place));
  const Memory forwarded = STAGGER_TRY(Weigh(settings, "heavy", settings.apps, true, cores, place));
  repeat.bare_mb = bare.mb;
  repeat.forwarded_mb = forwarded.mb;
  repeat.model_mb = (bare.mb - empty.mb) / settings.apps;
  repeat.copies = (forwarded.mb - empty.mb) / repeat.model_mb;
  repeat.same = true;
  for (std::size_t i = 0; i < bare.reports.size(); ++i) {
    const Comparison comparison = Compare(bare.reports[i], forwarded.reports[i], 0);
    repeat.same = repeat.same && comparison.same && comparison.frames > 0;
  }
  const double seconds = settings.seconds * kBatchLeg;
  for (const auto& [name, comparison] :
       {std::pair("wide", &repeat.wide), {"heavy", &repeat.heavy}}) {
    *comparison = STAGGER_TRY(CompareBatches(name, settings.apps, seconds, cores, place));
    repeat.same = repeat.same && comparison->same;
  }
  repeat.wide_gain = repeat.wide.batched_fps / repeat.wide.serial_fps;
  repeat.heavy_gain = repeat.heavy.batched_fps / repeat.heavy.serial_fps;
  repeat.heavy_batched = repeat.heavy.batched_ratio;
  const double bare_us = STAGGER_TRY(CallUs(settings, false, cores, place));
  const double forwarded_us = STAGGER_TRY(CallUs(settings, true, cores, place));
  repeat.bare_us = bare_us;
  repeat.forwarded_us = forwarded_us;
  if (const auto measured = Reference(cores, &repeat); !measured) return measured.error();
  repeat.round_trips =
      (repeat.forwarded_us - repeat.bare_us - repeat.copy_us) / repeat.ping_pong_us;
  return repeat;
}

Result<std::vector<Simulated>> SimulateBatches() {
  std::vector<Simulated> simulated;
  for (const double fps : {4.0, 10.0}) {
    const MostStreams most = STAGGER_TRY(FindMostStreams(SsdCameras(fps), 1, 0));
    simulated.push_back({fps, most});
  }
  return simulated;
}

std::vector<Claim> Claims(const Settings& settings, const std::vector<Repeat>& repeats,
                          const std::vector<Simulated>& simulated) {
  std::vector<Paired> same;
  for (const Repeat& repeat : repeats) same.push_back({repeat.same ? 1.0 : 0.0, false});
  const auto judged = [&](const std::string& what, double Repeat::*value, Bound bound,
                          double limit) {
    return Judge(what, MeasurementsOf(repeats, value), bound, limit);
  };
  std::vector<Claim> claims{
      judged(fmt::format("copies of the model in memory, {} apps", settings.apps), &Repeat::copies,
             Bound::kAtMost, 1.5),
      Judge("outputs equal to bare within 1e-5", same, Bound::kAtLeast, 1),
      judged("forwarding beyond its two copies, in ping-pongs", &Repeat::round_trips,
             Bound::kAtMost, 2),
      judged("batched / one by one, a model that reads much (wide)", &Repeat::wide_gain,
             Bound::kAtLeast, 1.5),
      judged("batched / one by one, a model that computes (heavy)", &Repeat::heavy_gain,
             Bound::kAtLeast, 0.95)};
  for (const Simulated& one : simulated) {
    claims.push_back(
        Judge(fmt::format("simulated SSD, {:g} fps: streams without a miss, batched / one by one",
                          one.fps),
              {{one.most.ratio(), false}}, Bound::kAtLeast, 1.6));
  }
  return claims;
}

struct Figure {
  const char* name;
  double Repeat::*value;
  const char* what;
};
constexpr Figure kFigures[] = {
    {"bare_mb", &Repeat::bare_mb, "proportional set size of the bare apps, MB"},
    {"forwarded_mb", &Repeat::forwarded_mb, "of the forwarded ones and their executor, MB"},
    {"model_mb", &Repeat::model_mb, "what the model adds to one bare app, MB"},
    {"bare_us", &Repeat::bare_us, "a call that hardly computes, 1 MB in and out, bare, us"},
    {"forwarded_us", &Repeat::forwarded_us, "the same forwarded, us"},
    {"copy_us", &Repeat::copy_us, "copying 1 MB in and 1 MB out, as the other core uses it, us"},
    {"ping_pong_us", &Repeat::ping_pong_us, "a packet to the other core and back, us"},
    {"heavy_batched_ratio", &Repeat::heavy_batched,
     "of heavy's inferences, those in batches, once its curve is known"},
};

std::string Shown(const std::vector<documents::BatchPoint>& curve) {
  std::string text;
  for (const auto& [items, ms] : curve) {
    text += fmt::format("{}{}: {:.1f}", text.empty() ? "" : ", ", items, ms);
  }
  return text;
}

nlohmann::ordered_json ToJson(const BatchComparison& comparison) {
  nlohmann::ordered_json curve = nlohmann::ordered_json::array();
  for (const auto& [items, ms] : comparison.curve) curve.push_back({{"size", items}, {"ms", ms}});
  return {{"serial_fps", comparison.serial_fps},
          {"batched_fps", comparison.batched_fps},
          {"batched_ratio", comparison.batched_ratio},
          {"batching", curve}};
}

// The last repeat's; the claims have them all.
std::string BatchText(const Repeat& last, const std::vector<Simulated>& simulated) {
  Table table({"model", "one by one, fps", "batched, fps", "in batches", "ms by batch size"});
  for (const auto& [name, one] : {std::pair("wide", &last.wide), {"heavy", &last.heavy}}) {
    table.AddRow({name, fmt::format("{:.1f}", one->serial_fps),
                  fmt::format("{:.1f}", one->batched_fps),
                  fmt::format("{:.0f} %", 100 * one->batched_ratio), Shown(one->curve)});
  }
  std::string text = table.ToString() + "\n";
  for (const Simulated& one : simulated) {
    text += fmt::format(
        "simulated SSD at {:g} fps, due within 1 / fps: {} streams without a miss, {} one by "
        "one\n",
        one.fps, one.most.batched, one.most.serial);
  }
  return text + "\n";
}

BenchReport Report(const Settings& settings, const std::vector<Repeat>& repeats,
                   const std::vector<Simulated>& simulated) {
  BenchReport report;
  nlohmann::ordered_json& json = report.settings;
  Table table({"figure", "median", "min..max", "what"});
  for (const Figure& figure : kFigures) {
    const Spread spread = *SpreadOf(ValuesOf(repeats, figure.value));
    json["figures"][figure.name] = {{"median", spread.median},
                                    {"spread", {spread.min, spread.max}}};
    table.AddRow({figure.name, fmt::format("{:.1f}", spread.median),
                  fmt::format("{:.1f}..{:.1f}", spread.min, spread.max), figure.what});
  }
  for (const auto& [name, comparison] :
       {std::pair("wide", &Repeat::wide), {"heavy", &Repeat::heavy}}) {
    for (const Repeat& repeat : repeats) {
      json["batches"][name].push_back(ToJson(repeat.*comparison));
    }
  }
  for (const Simulated& one : simulated) {
    json["simulated"].push_back({{"fps", one.fps},
                                 {"most_streams_serial", one.most.serial},
                                 {"most_streams_batched", one.most.batched}});
  }
  json["repeats"] = settings.repeats;
  json["apps"] = settings.apps;
  report.text = fmt::format("{} repeats, {} apps\n\n{}\n{}", settings.repeats, settings.apps,
                            table.ToString(), BatchText(repeats.back(), simulated));
  report.claims = Claims(settings, repeats, simulated);
  return report;
}

struct Measured {
  std::vector<Repeat> repeats;
  std::vector<Simulated> simulated;
};

Result<Measured> Measure(const Settings& settings, Workplace& place) {
  const std::pair<int, int> cores = STAGGER_TRY(TwoCores());
  std::vector<Simulated> simulated = STAGGER_TRY(SimulateBatches());
  std::vector<Repeat> repeats = STAGGER_TRY(MeasureRepeats<Repeat>(
      settings.repeats, [&](const Say&) { return MeasureOnce(settings, cores, place); }));
  return Measured{std::move(repeats), std::move(simulated)};
}

}  // namespace

int BenchShare(const Arguments& arguments) {
  Settings settings;
  CLI::App app{
      "Apps with one model through one executor, beside as many bare ones: memory, results, and "
      "what forwarding an inference costs beside a bare ping-pong and two copies, and what "
      "batching "
      "gains.",
      "stagger bench share"};
  AddBenchOptions(app, &settings, {"", "per leg", 0.5});
  app.add_option("--apps", settings.apps)->check(CLI::Range(2, 64))->capture_default_str();
  if (const auto code = ParseArguments(app, arguments)) return *code;
  return RunBench<Measured>(
      "share", settings.as_json, [&](Workplace& place) { return Measure(settings, place); },
      [&](const Measured& measured) {
        return Report(settings, measured.repeats, measured.simulated);
      });
}

}  // namespace stagger::cli
