// What benches have in common: their options, legs that run interleaved, medians over repeats, one
// table or one JSON object, and the exit code that the claims give. Main thread.
#pragma once

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/try.h"
#include "console/arguments.h"
#include "console/table.h"
#include "lab/bench/claims.h"
#include "lab/legs/leg_run.h"
#include "lab/legs/progress_line.h"
#include "launch/child_process.h"
#include "launch/workplace.h"

namespace CLI {
class App;
}

namespace stagger::cli {

// The options of every bench.
struct BenchOptions {
  int repeats;
  double seconds;
  bool as_json = false;
};
struct BenchHelp {
  const char* repeats;
  const char* seconds;
  double least_seconds = 1;
  double most_seconds = 3600;
};
// Also says what exit codes mean.
void AddBenchOptions(CLI::App& app, BenchOptions* options, const BenchHelp& help);
void AddRepeats(CLI::App& app, int* repeats, const char* help, bool* as_json);

// What was found and what is claimed of it, in both of its forms.
struct BenchReport {
  std::string text{};  // before the claims
  nlohmann::ordered_json legs = nlohmann::ordered_json::array();
  nlohmann::ordered_json settings{};  // and figures that belong to no leg
  std::vector<Claim> claims{};
  nlohmann::ordered_json device = DescribeCpu();
};
// Prints one of the forms; the exit code.
int PrintReport(const char* name, bool as_json, const BenchReport& report);

// A workplace, the measurement, its report, and the exit code. Without findings one line says why.
template <typename Findings>
int RunBench(const char* name, bool as_json,
             const std::function<Result<Findings>(Workplace&)>& measure,
             const std::function<BenchReport(const Findings&)>& report) {
  Result<Workplace> place = Workplace::Open();
  if (!place) {
    PrintError(place.error().message);
    return kExitFailed;
  }
  const Result<Findings> findings = measure(*place);
  if (findings) return PrintReport(name, as_json, report(*findings));
  PrintError(std::string("bench ") + name + ": " + findings.error().message);
  return place->stop.Raised() ? kExitInterrupted : kExitFailed;
}

struct BenchLeg {
  std::string name;
  std::function<Result<LegRun>(int repeat, const LegTools& tools)> run;
};

// Interleaved, each repeat starting with another leg, so that no leg always follows the same
// neighbour or profits from an early, quiet machine. Says on stderr how each leg went.
Result<LegRuns> MeasureInterleaved(const std::vector<BenchLeg>& legs, int repeats,
                                   Workplace& place);

// Over the repeats; a tight camera's leg follows the leg it is part of.
std::vector<Leg> MedianLegs(const std::vector<std::string>& names, const LegRuns& runs);

// For a bench whose legs all run at once or need each other: `once` measures a whole repeat and
// sets all but its `disturbed`, and may say what it is at.
using Say = std::function<void(const std::string&)>;
template <typename Repeat>
Result<std::vector<Repeat>> MeasureRepeats(int count,
                                           const std::function<Result<Repeat>(const Say&)>& once) {
  ProgressLine line;
  std::vector<Repeat> repeats;
  for (int i = 1; i <= count; ++i) {
    const std::string where = "repeat " + std::to_string(i) + "/" + std::to_string(count);
    line.Update(where);
    const DisturbanceWatch watch;
    Repeat repeat =
        STAGGER_TRY(once([&](const std::string& what) { line.Update(where + ": " + what); }));
    repeat.disturbed = watch.SoFar().disturbed();
    repeats.push_back(std::move(repeat));
  }
  line.Finish(std::to_string(count) + " repeats done");
  return repeats;
}

// A figure of each repeat: `value` is a member or a function.
template <typename Repeat, typename Value>
std::vector<Paired> MeasurementsOf(const std::vector<Repeat>& repeats, Value value) {
  std::vector<Paired> measurements;
  for (const Repeat& repeat : repeats) {
    measurements.push_back({static_cast<double>(std::invoke(value, repeat)), repeat.disturbed});
  }
  return measurements;
}

template <typename Repeat, typename Value>
std::vector<double> ValuesOf(const std::vector<Repeat>& repeats, Value value) {
  std::vector<double> values;
  for (const Repeat& repeat : repeats) values.push_back(std::invoke(value, repeat));
  return values;
}
// 0 without repeats.
template <typename Repeat, typename Value>
double MedianOf(const std::vector<Repeat>& repeats, Value value) {
  return Median(ValuesOf(repeats, value)).value_or(0);
}

// Until the app has ended; an error when it failed, took longer than `limit`, or `stop` was raised.
Result<void> AwaitEnd(ChildProcess& app, Duration limit, StopSignal& stop);

// "12.3", "-" for what there is none of.
std::string Number(const std::optional<double>& value, double factor, int digits);
// The columns that all benches show; `more` are appended per leg.
Table LegTable(const std::vector<Leg>& legs, const std::vector<std::string>& more_headers = {},
               const std::vector<std::vector<std::string>>& more = {});

// {"bench","legs","device",settings...,"claims"}
nlohmann::ordered_json BenchJson(const std::string& bench, nlohmann::ordered_json legs,
                                 nlohmann::ordered_json device,
                                 const nlohmann::ordered_json& settings,
                                 const std::vector<Claim>& claims);

}  // namespace stagger::cli
