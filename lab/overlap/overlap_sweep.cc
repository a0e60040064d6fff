#include "lab/overlap/overlap_sweep.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/try.h"
#include "console/table.h"
#include "lab/legs/percentile.h"

namespace stagger::cli {
namespace {

using nlohmann::ordered_json;

constexpr int kSteps = 20;
constexpr double kPaperStepMs = 5;
constexpr double kBeyond = 1.25;  // of the inference's length

struct Medians {
  std::vector<double> first;
  std::vector<double> second;
};

double MedianOf(const std::vector<double>& values) { return Median(values).value_or(0); }

}  // namespace

std::vector<double> SweepOffsets(double inference_ms) {
  const double paper = kSteps * kPaperStepMs;
  const bool as_the_paper = inference_ms >= paper / 2 && inference_ms <= paper / 1.05;
  const double step = as_the_paper ? kPaperStepMs : inference_ms * kBeyond / kSteps;
  std::vector<double> offsets;
  for (int i = 0; i <= kSteps; ++i) offsets.push_back(i * step);
  return offsets;
}

SweepOrder::SweepOrder(std::size_t offsets, int rounds, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (int round = 0; round < rounds; ++round) {
    const std::size_t from = order_.size();
    for (std::size_t offset = 0; offset < offsets; ++offset) {
      order_.push_back({offset, static_cast<int>((offset + static_cast<std::size_t>(round)) % 2)});
    }
    // By hand: std::shuffle may differ from library to library.
    for (std::size_t i = order_.size() - 1; i > from; --i) {
      std::swap(order_[i], order_[from + random() % (i - from + 1)]);
    }
  }
}

std::optional<SweepOrder::Next> SweepOrder::Take() {
  if (left() == 0) return std::nullopt;
  return order_[taken_++];
}

Result<SweepFindings> Summarise(const std::vector<Probe>& probes,
                                const std::vector<ProbeTimes>& alone) {
  std::map<double, Medians> by_offset;
  std::vector<double> together;
  for (const Probe& probe : probes) {
    Medians& times = by_offset[probe.offset_ms];
    times.first.push_back(probe.first.total_ms);
    times.second.push_back(probe.second.total_ms);
    if (probe.offset_ms != 0) continue;
    together.push_back(probe.first.body_ms);
    together.push_back(probe.second.body_ms);
  }
  if (together.empty()) return Error{"no two inferences were started at once; give it more time"};
  SweepFindings findings;
  std::vector<sim::OverlapPoint> sweep;
  for (const auto& [offset, times] : by_offset) {
    const sim::OverlapPoint point{offset, MedianOf(times.first), MedianOf(times.second)};
    findings.points.push_back({point, static_cast<int>(times.first.size())});
    sweep.push_back(point);
  }
  std::vector<double> bodies;
  std::vector<double> totals;
  for (const ProbeTimes& one : alone) {
    bodies.push_back(one.body_ms);
    totals.push_back(one.total_ms);
  }
  findings.alone = {MedianOf(bodies), MedianOf(totals)};
  findings.together_ms = MedianOf(together);
  const sim::Calibration fit = STAGGER_TRY(sim::Calibrate(sweep));
  findings.fit = fit;
  return findings;
}

std::string ToText(const SweepFindings& findings) {
  const sim::OverlapModel& model = findings.fit.model;
  Table table({"offset ms", "first ms", "model", "second ms", "model", "probes"});
  const auto ms = [](double value) { return fmt::format("{:.1f}", value); };
  for (const SweepPoint& point : findings.points) {
    const auto [first, second] = sim::Overlap(model, point.times.offset_ms);
    table.AddRow({fmt::format("{:.3g}", point.times.offset_ms), ms(point.times.first_ms), ms(first),
                  ms(point.times.second_ms), ms(second), fmt::format("{}", point.probes)});
  }
  std::string text = table.ToString();
  text += fmt::format(
      "\nfit: body {:.2f} ms, post {:.2f} ms, sigma {:.3f}, w = g = {:.3f}; RMSE {:.2f} ms, worst "
      "{:.1f} ms\n",
      model.body_ms, model.post_ms, model.sigma, model.w, findings.fit.rmse_ms,
      findings.fit.max_error_ms);
  text += fmt::format("alone, as the agent sees it: body {:.2f} ms, post {:.2f} ms\n",
                      findings.alone.body_ms, findings.alone.total_ms - findings.alone.body_ms);
  text +=
      fmt::format("two bodies together take {:.2f} times as long as one: ", findings.slowdown());
  text += findings.sharing_pays()
              ? "more gets done than one after the other. Suggested: --concurrency auto\n"
              : "no more gets done than one after the other. Suggested: --concurrency 1\n";
  return text;
}

void AddTo(ordered_json* json, const SweepFindings& findings) {
  const sim::OverlapModel& model = findings.fit.model;
  ordered_json points = ordered_json::array();
  for (const SweepPoint& point : findings.points) {
    const auto [first, second] = sim::Overlap(model, point.times.offset_ms);
    points.push_back({{"offset_ms", point.times.offset_ms},
                      {"first_ms", point.times.first_ms},
                      {"second_ms", point.times.second_ms},
                      {"model_first_ms", first},
                      {"model_second_ms", second},
                      {"probes", point.probes}});
  }
  (*json)["points"] = points;
  (*json)["model"] = {{"body_ms", model.body_ms},
                      {"post_ms", model.post_ms},
                      {"sigma", model.sigma},
                      {"w", model.w},
                      {"g", model.g}};
  (*json)["rmse_ms"] = findings.fit.rmse_ms;
  (*json)["max_error_ms"] = findings.fit.max_error_ms;
  (*json)["alone"] = {{"body_ms", findings.alone.body_ms},
                      {"post_ms", findings.alone.total_ms - findings.alone.body_ms}};
  (*json)["together"] = {{"body_ms", findings.together_ms}};
  (*json)["slowdown"] = findings.slowdown();
  if (findings.sharing_pays()) {
    (*json)["suggested_concurrency"] = "auto";
  } else {
    (*json)["suggested_concurrency"] = 1;
  }
}

}  // namespace stagger::cli
