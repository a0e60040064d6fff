// stagger bench hooks: what the hooks cost a CUDA app: each kind of call on a driver that does
// nothing, and a whole app alone on the virtual T4.
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "base/try.h"
#include "console/arguments.h"
#include "console/table.h"
#include "lab/bench/bench.h"
#include "lab/bench/bench_frame.h"
#include "lab/bench/hooks/hooks_calls.h"
#include "lab/bench/t4/cuda_leg.h"
#include "lab/legs/progress_line.h"

namespace stagger::cli {
namespace {

struct Settings : BenchOptions {
  Settings() : BenchOptions{10, 2} {}
  int blocks = 100;
};

struct Findings {
  std::vector<CallRun> calls;
  LegRuns legs;
};

// The paper's body, always busy; warmed up for as long as the agent learns.
CudaLegPlan Alone(const char* name, double seconds) {
  CudaLegPlan plan;
  plan.name = name;
  plan.phases_ms = {0};
  plan.seconds = seconds;
  plan.warmup = 40;
  plan.body_ms = 38.31;
  plan.post_ms = 1;
  return plan;
}

Result<Findings> Measure(const Settings& settings, Workplace& place) {
  Findings found;
  ProgressLine line;
  for (int repeat = 0; repeat < settings.repeats; ++repeat) {
    line.Update(fmt::format("[{}/{}] calls", repeat + 1, settings.repeats));
    CallRun calls = STAGGER_TRY(RunCalls(place, settings.blocks));
    found.calls.push_back(std::move(calls));
  }
  line.Finish("calls timed");
  const vgpu::Model model = *vgpu::BuiltInModel("t4");
  const CudaLegPlan bare = Alone(kAloneBare, settings.seconds);
  CudaLegPlan controlled = Alone(kAloneControlled, settings.seconds);
  controlled.policy = "fifo";
  std::vector<BenchLeg> legs;
  for (const CudaLegPlan* plan : {&bare, &std::as_const(controlled)}) {
    legs.push_back({plan->name, [plan, &model](int, const LegTools& tools) {
                      return RunCudaLeg(*plan, model, tools);
                    }});
  }
  found.legs = STAGGER_TRY(MeasureInterleaved(legs, settings.repeats, place));
  return found;
}

// Each kind of call with its medians over the repeats.
std::vector<CallCost> MedianCalls(const std::vector<CallRun>& runs) {
  std::vector<CallCost> calls = runs.front().calls;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].bare_ns = MedianOf(runs, [&](const CallRun& run) { return run.calls[i].bare_ns; });
    calls[i].added_ns = MedianOf(runs, [&](const CallRun& run) { return run.calls[i].added_ns; });
  }
  return calls;
}

BenchReport Report(const Settings& settings, const Findings& found) {
  BenchReport report;
  const std::vector<Leg> legs = MedianLegs({kAloneBare, kAloneControlled}, found.legs);
  const double clock_ns = MedianOf(found.calls, &CallRun::clock_ns);
  Table calls({"call", "bare ns", "added ns"});
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const CallCost& call : MedianCalls(found.calls)) {
    calls.AddRow(
        {call.call, fmt::format("{:.1f}", call.bare_ns), fmt::format("{:.1f}", call.added_ns)});
    json.push_back({{"call", call.call}, {"bare_ns", call.bare_ns}, {"added_ns", call.added_ns}});
  }
  report.text = fmt::format(
      "{} repeats, apps for {:g} s; medians\n\n"
      "Calls on a driver that does nothing, through the hooks and past them, block by block in one "
      "process.\nA reading of this machine's clock takes {:.1f} ns.\n\n{}\n"
      "One app alone on the virtual T4, always busy.\n\n{}\n",
      settings.repeats, settings.seconds, clock_ns, calls.ToString(), LegTable(legs).ToString());
  report.legs = ToJson(legs);
  report.settings = {{"calls", json},
                     {"clock_ns", clock_ns},
                     {"repeats", settings.repeats},
                     {"seconds", settings.seconds}};
  report.claims = HooksClaims(found.calls, found.legs);
  return report;
}

}  // namespace

int BenchHooks(const Arguments& arguments) {
  Settings settings;
  CLI::App app{
      "What the hooks cost a CUDA app: each kind of call on a driver that does nothing, through "
      "the hooks and past them; and a whole app alone on the virtual T4, bare and controlled.",
      "stagger bench hooks"};
  AddBenchOptions(
      app, &settings,
      {"how often all is measured", "how long an app runs once the agent knows it", 0.2});
  app.add_option("--blocks", settings.blocks, "pairs of blocks per repeat in which calls are timed")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  if (const auto code = ParseArguments(app, arguments)) return *code;
  return RunBench<Findings>(
      "hooks", settings.as_json, [&](Workplace& place) { return Measure(settings, place); },
      [&](const Findings& found) { return Report(settings, found); });
}

}  // namespace stagger::cli
