#include "lab/scenario/sim_legs.h"

#include <fmt/core.h>

#include "console/table.h"
#include "core/policies.h"

namespace stagger::cli {
namespace {

std::optional<Distribution> InMs(const sim::Histogram& histogram) {
  if (histogram.count() == 0) return std::nullopt;
  return Distribution{ToMs(histogram.min()), histogram.mean_ns() / 1e6,
                      ToMs(histogram.Quantile(0.50)), ToMs(histogram.Quantile(0.99)),
                      ToMs(histogram.max())};
}

std::optional<double> Skipped(const Leg& leg) {
  if (leg.frames.value_or(0) <= 0) return std::nullopt;
  return leg.skipped.value_or(0) / *leg.frames;
}

// `group` null: all streams.
SimLeg Make(const sim::Scenario& scenario, const sim::Tally& tally, const std::string* group) {
  SimLeg result;
  Leg& leg = result.leg;
  leg.name = group != nullptr ? *group : "all";
  leg.policy = scenario.policy.name;
  const core::Policy& policy = *core::FindPolicy(scenario.policy.name);
  const bool fixed = !scenario.policy.auto_concurrency && scenario.policy.demand_limit == 0;
  if (!policy.concurrent || fixed) {
    leg.concurrency = core::Limit(policy, scenario.policy, core::DeviceState{});
  }
  double required = 0;
  bool always_ready = false;
  bool deadlines = false;
  for (const sim::StreamModel& stream : scenario.streams) {
    if (group != nullptr && stream.group != *group) continue;
    ++leg.apps;
    if (stream.period > Duration{}) {
      required += 1e9 / static_cast<double>(stream.period.count());
    } else {
      always_ready = true;
    }
    if (stream.deadline > Duration{}) deadlines = true;
  }
  if (!always_ready) leg.fps_required = required;
  const auto frames = static_cast<double>(tally.frames);
  leg.frames = frames;
  leg.done = static_cast<double>(tally.done);
  leg.drops = static_cast<double>(tally.drops);
  leg.skipped = static_cast<double>(tally.skipped);
  if (!always_ready) {
    result.fps_assigned = static_cast<double>(tally.assigned_mfps) / 1000 / scenario.draws;
  }
  leg.drop_ratio = tally.drop_ratio();
  const double seconds = ToMs(scenario.length) / 1000 * scenario.draws;
  leg.fps = static_cast<double>(tally.done) / seconds;
  if (deadlines && frames > 0) {
    leg.deadline_miss_ratio = static_cast<double>(tally.late + tally.drops) / frames;
  }
  leg.inference_ms = InMs(tally.inference);
  leg.latency_ms = InMs(tally.latency);
  leg.body_ms = InMs(tally.body);
  result.worst_draw_drop_ratio = tally.worst_draw_drop_ratio;
  if (tally.draws > 0) {
    result.zero_drop_draws_ratio =
        static_cast<double>(tally.zero_drop_draws) / static_cast<double>(tally.draws);
  }
  return result;
}

}  // namespace

std::vector<SimLeg> SimLegs(const sim::Scenario& scenario, const sim::Outcome& outcome) {
  std::vector<SimLeg> legs{Make(scenario, outcome.all, nullptr)};
  legs.front().leg.overlap_ratio = outcome.overlap_ratio;
  for (std::size_t i = 0; i < outcome.groups.size(); ++i) {
    legs.push_back(Make(scenario, outcome.of_group[i], &outcome.groups[i]));
  }
  return legs;
}

nlohmann::ordered_json ToJson(const SimLeg& leg) {
  nlohmann::ordered_json json = ToJson(leg.leg);
  json["worst_draw_drop_ratio"] = leg.worst_draw_drop_ratio;
  json["zero_drop_draws_ratio"] = leg.zero_drop_draws_ratio;
  json["fps_assigned"] = nullptr;
  if (leg.fps_assigned) json["fps_assigned"] = *leg.fps_assigned;
  return json;
}

std::string ToText(const std::vector<SimLeg>& legs) {
  Table table({"leg", "policy", "apps", "fps", "drops %", "worst draw %", "skipped %", "late %",
               "latency mean", "p50", "p99", "max ms", "overlap %"});
  const auto percent = [](const std::optional<double>& ratio) {
    return ratio ? fmt::format("{:.2f}", *ratio * 100) : std::string("-");
  };
  for (const SimLeg& row : legs) {
    const Leg& leg = row.leg;
    const auto part = [&](double Distribution::*member) {
      return leg.latency_ms ? fmt::format("{:.1f}", (*leg.latency_ms).*member) : std::string("-");
    };
    table.AddRow({leg.name, leg.policy.value_or("-"), std::to_string(leg.apps),
                  fmt::format("{:.2f}", leg.fps.value_or(0)), percent(leg.drop_ratio),
                  percent(row.worst_draw_drop_ratio), percent(Skipped(leg)),
                  percent(leg.deadline_miss_ratio), part(&Distribution::mean),
                  part(&Distribution::p50), part(&Distribution::p99), part(&Distribution::max),
                  percent(leg.overlap_ratio)});
  }
  return table.ToString();
}

}  // namespace stagger::cli
