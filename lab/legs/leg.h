// A leg: what some apps did for a while under one policy, in the form that demo and bench print.
// Pure: no files, no clocks.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "lab/legs/percentile.h"

namespace stagger::cli {

struct Leg {
  std::string name;
  std::optional<std::string> policy;  // unset: no daemon
  std::optional<int> concurrency;
  int apps = 0;
  std::optional<double> fps_required;  // of all apps together; unset: as fast as they can
  std::optional<double> fps;           // completed inferences per second, of all apps together
  std::optional<double> frames;        // arrived; unset where frames don't arrive but are fetched
  std::optional<double> done;
  std::optional<double> drops;
  std::optional<double> skipped;
  std::optional<double> drop_ratio;
  std::optional<double> deadline_miss_ratio;  // late results and drops, of the frames that arrived
  std::optional<Distribution> inference_ms;
  std::optional<Distribution> latency_ms;
  std::optional<Distribution> body_ms;
  std::optional<double> overlap_ratio;

  // Of a bench.
  std::optional<int> repeats;
  std::optional<int> disturbed_repeats;
  std::optional<Spread> fps_spread;
};

nlohmann::ordered_json ToJson(const Leg& leg);
nlohmann::ordered_json ToJson(const std::vector<Leg>& legs);
// Rounded to what anybody measures.
nlohmann::ordered_json OrNull(const std::optional<double>& value);
// Null when empty.
nlohmann::ordered_json OrNull(const std::string& text);

// One inference as an app recorded it, all of one clock.
struct Sample {
  Duration arrival{};
  Duration start{};
  Duration end{};
  Duration result{};
};

// One app's part of a leg.
struct AppRecord {
  std::int64_t frames = 0;
  std::int64_t done = 0;
  std::vector<Sample> samples;
};

// Reads a line "arrival_ns,start_ns,end_ns,result_ns"; nullopt for a header or a cut-off line.
std::optional<Sample> ParseSample(const std::string& line);

struct LegShape {
  std::string name;
  std::optional<double> fps;  // per app; unset: every frame as soon as it can
  double seconds = 0;
  std::optional<Duration> start{};  // of the samples' clock; unset: the first arrival
};

// Counts, rates and times of the apps taken together. The rate counts results within `seconds` of
// the start, so an app that is busy when time is up doesn't stretch it.
Leg Summarise(const LegShape& shape, const std::vector<AppRecord>& apps);

// Each figure's median over the repeats; `legs` not empty, all of one name.
Leg MedianLeg(const std::vector<Leg>& legs);

}  // namespace stagger::cli
