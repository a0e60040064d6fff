#include "lab/legs/leg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace stagger::cli {
namespace {

using nlohmann::ordered_json;

// Nobody measures a thousandth of a percent; long tails of digits only hide what is said.
double Rounded(double value) { return std::round(value * 10000) / 10000; }

ordered_json OrNull(const std::optional<Distribution>& value) {
  if (!value) return nullptr;
  return {{"min", Rounded(value->min)},
          {"mean", Rounded(value->mean)},
          {"p50", Rounded(value->p50)},
          {"p99", Rounded(value->p99)},
          {"max", Rounded(value->max)}};
}

// In the order in which they are told.
constexpr std::pair<const char*, std::optional<double> Leg::*> kFigures[] = {
    {"fps_required", &Leg::fps_required},
    {"fps", &Leg::fps},
    {"frames", &Leg::frames},
    {"done", &Leg::done},
    {"drops", &Leg::drops},
    {"skipped", &Leg::skipped},
    {"drop_ratio", &Leg::drop_ratio},
    {"deadline_miss_ratio", &Leg::deadline_miss_ratio}};
constexpr std::pair<const char*, std::optional<Distribution> Leg::*> kTimes[] = {
    {"inference_ms", &Leg::inference_ms},
    {"latency_ms", &Leg::latency_ms},
    {"body_ms", &Leg::body_ms}};

// The median of one member over those legs that have it.
template <typename Member>
std::optional<double> MedianOf(const std::vector<Leg>& legs, Member member) {
  std::vector<double> values;
  for (const Leg& leg : legs) {
    if (leg.*member) values.push_back(*(leg.*member));
  }
  return Median(std::move(values));
}

std::optional<Distribution> MedianDistribution(const std::vector<Leg>& legs,
                                               std::optional<Distribution> Leg::*member) {
  Distribution result;
  for (const auto part : {&Distribution::min, &Distribution::mean, &Distribution::p50,
                          &Distribution::p99, &Distribution::max}) {
    std::vector<double> values;
    for (const Leg& leg : legs) {
      if (leg.*member) values.push_back((*(leg.*member)).*part);
    }
    const std::optional<double> median = Median(std::move(values));
    if (!median) return std::nullopt;
    result.*part = *median;
  }
  return result;
}

}  // namespace

ordered_json OrNull(const std::optional<double>& value) {
  if (!value) return nullptr;
  if (*value == std::floor(*value) && std::abs(*value) < 1e15) {
    return static_cast<std::int64_t>(*value);
  }
  return Rounded(*value);
}

ordered_json OrNull(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(text);
}

ordered_json ToJson(const std::vector<Leg>& legs) {
  ordered_json json = ordered_json::array();
  for (const Leg& leg : legs) json.push_back(ToJson(leg));
  return json;
}

ordered_json ToJson(const Leg& leg) {
  ordered_json json;
  json["name"] = leg.name;
  json["policy"] = leg.policy ? ordered_json(*leg.policy) : ordered_json(nullptr);
  json["concurrency"] = leg.concurrency ? ordered_json(*leg.concurrency) : ordered_json(nullptr);
  json["apps"] = leg.apps;
  for (const auto& [name, figure] : kFigures) json[name] = OrNull(leg.*figure);
  for (const auto& [name, times] : kTimes) json[name] = OrNull(leg.*times);
  json["overlap_ratio"] = OrNull(leg.overlap_ratio);
  if (leg.repeats) json["repeats"] = *leg.repeats;
  if (leg.disturbed_repeats) json["disturbed_repeats"] = *leg.disturbed_repeats;
  if (leg.fps_spread) {
    json["fps_spread"] = {Rounded(leg.fps_spread->min), Rounded(leg.fps_spread->max)};
  }
  return json;
}

std::optional<Sample> ParseSample(const std::string& line) {
  long long arrival = 0;
  long long start = 0;
  long long end = 0;
  long long result = 0;
  char rest = 0;
  if (std::sscanf(line.c_str(), "%lld,%lld,%lld,%lld%c", &arrival, &start, &end, &result, &rest) !=
      4) {
    return std::nullopt;
  }
  return Sample{Duration{arrival}, Duration{start}, Duration{end}, Duration{result}};
}

Leg Summarise(const LegShape& shape, const std::vector<AppRecord>& apps) {
  Leg leg;
  leg.name = shape.name;
  leg.apps = static_cast<int>(apps.size());
  if (shape.fps) leg.fps_required = *shape.fps * static_cast<double>(apps.size());

  Duration first = Duration::max();
  for (const AppRecord& app : apps) {
    for (const Sample& sample : app.samples) first = std::min(first, sample.arrival);
  }
  if (shape.start) first = *shape.start;
  const Duration deadline = shape.fps ? FromMs(1000 / *shape.fps) : Duration::max();
  const Duration length = FromMs(shape.seconds * 1000);
  std::vector<double> inference;
  std::vector<double> latency;
  double frames = 0;
  double done = 0;
  double in_time = 0;
  double late = 0;
  for (const AppRecord& app : apps) {
    frames += static_cast<double>(app.frames);
    done += static_cast<double>(app.done);
    for (const Sample& sample : app.samples) {
      inference.push_back(ToMs(sample.end - sample.start));
      latency.push_back(ToMs(sample.result - sample.arrival));
      if (sample.end - first <= length) ++in_time;
      if (sample.result - sample.arrival > deadline) ++late;
    }
  }
  leg.done = done;
  if (shape.seconds > 0) leg.fps = in_time / shape.seconds;
  leg.inference_ms = Describe(std::move(inference));
  if (shape.fps) {
    leg.frames = frames;
    leg.drops = frames - done;
    leg.skipped = 0;
    if (frames > 0) {
      leg.drop_ratio = (frames - done) / frames;
      leg.deadline_miss_ratio = (late + frames - done) / frames;
    }
    leg.latency_ms = Describe(std::move(latency));
  }
  return leg;
}

Leg MedianLeg(const std::vector<Leg>& legs) {
  Leg result = legs.front();
  for (const auto& [name, figure] : kFigures) result.*figure = MedianOf(legs, figure);
  for (const auto& [name, times] : kTimes) result.*times = MedianDistribution(legs, times);
  result.overlap_ratio = MedianOf(legs, &Leg::overlap_ratio);
  std::vector<double> fps;
  for (const Leg& leg : legs) {
    if (leg.fps) fps.push_back(*leg.fps);
  }
  result.fps_spread = SpreadOf(std::move(fps));
  result.repeats = static_cast<int>(legs.size());
  return result;
}

}  // namespace stagger::cli
