#include <fmt/core.h>

#include <vector>

#include "console/arguments.h"
#include "console/table.h"
#include "lab/scenario/sim_legs.h"
#include "lab/sim/calibration.h"
#include "lab/sim/simulate.h"

namespace stagger::cli {
namespace {

using nlohmann::ordered_json;

constexpr int kCameras = 4;
constexpr double kFps = 4;
// One app alone does 10 fps with inferences of about 73 ms: the rest of its 100 ms is its own work.
constexpr double kAppMs = 27;
// Not of the paper: what a turn costs, and how much inferences vary, where the question is not what
// the paper measured but what control is worth.
constexpr double kHandoffMs = 0.2;
constexpr double kJitter = 0.03;
constexpr int kDraws = 300;

enum class Phases { kApart, kTogether, kAny };

struct Case {
  const char* name;
  const char* policy;
  Phases phases;
  bool of_the_paper;
};
constexpr Case kCases[] = {
    {"controlled", "spaced", Phases::kApart, true},
    {"uncontrolled", "off", Phases::kTogether, true},
    {"together-off", "off", Phases::kTogether, false},
    {"together-spaced", "spaced", Phases::kTogether, false},
    {"together-gate", "edf", Phases::kTogether, false},
    {"any-off", "off", Phases::kAny, false},
    {"any-spaced", "spaced", Phases::kAny, false},
    {"any-gate", "edf", Phases::kAny, false},
};

sim::Scenario ScenarioOf(const Case& which, const sim::OverlapModel& model) {
  sim::Scenario scenario;
  scenario.length = std::chrono::seconds{60};
  scenario.warmup = std::chrono::seconds{2};
  scenario.policy = {.name = which.policy, .concurrency = 1};
  scenario.devices = {{.name = "t4", .sigma = model.sigma, .w = model.w, .g = model.g}};
  if (!which.of_the_paper) {
    scenario.handoff = FromMs(kHandoffMs);
    scenario.jitter = kJitter;
    scenario.draws = kDraws;
  }
  for (int i = 0; i < kCameras; ++i) {
    sim::StreamModel stream;
    stream.name = fmt::format("cam-{}", i + 1);
    stream.group = "cam";
    stream.period = FromMs(1000 / kFps);
    stream.deadline = stream.period;
    if (which.phases == Phases::kTogether) stream.phase = Duration{};
    if (which.phases == Phases::kApart) stream.phase = scenario.policy.spacing * i;
    stream.body = FromMs(model.body_ms);
    stream.post = FromMs(model.post_ms);
    stream.app = FromMs(kAppMs);
    scenario.streams.push_back(stream);
  }
  return scenario;
}

void PrintJson(const sim::Calibration& fit, const std::vector<SimLeg>& legs) {
  ordered_json json;
  json["legs"] = ordered_json::array();
  for (const SimLeg& leg : legs) json["legs"].push_back(ToJson(leg));
  json["device"] = "t4";
  ordered_json points = ordered_json::array();
  for (const sim::OverlapPoint& point : sim::kPaperTable2) {
    const auto [first, second] = sim::Overlap(fit.model, point.offset_ms);
    points.push_back({{"offset_ms", point.offset_ms},
                      {"first_ms", point.first_ms},
                      {"second_ms", point.second_ms},
                      {"model_first_ms", first},
                      {"model_second_ms", second}});
  }
  json["table2"] = {{"rmse_ms", fit.rmse_ms},
                    {"max_error_ms", fit.max_error_ms},
                    {"model",
                     {{"body_ms", fit.model.body_ms},
                      {"post_ms", fit.model.post_ms},
                      {"sigma", fit.model.sigma},
                      {"w", fit.model.w},
                      {"g", fit.model.g}}},
                    {"points", points}};
  ordered_json paper = ordered_json::array();
  for (const sim::PaperLeg& leg : sim::kPaperTable3) {
    paper.push_back(
        {{"name", leg.name},
         {"inference_ms", {{"min", leg.min_ms}, {"mean", leg.mean_ms}, {"max", leg.max_ms}}},
         {"drop_ratio", leg.drop_ratio},
         {"fps", leg.fps}});
  }
  json["table3"] = paper;
  fmt::print("{}\n", json.dump(2));
}

std::string Ms(double value) { return fmt::format("{:.1f}", value); }

void PrintText(const sim::Calibration& fit, const std::vector<SimLeg>& legs) {
  fmt::print(
      "Table 2: two inferences, the second started later (ms; paper, then the model fitted to "
      "it)\n\n");
  Table sweep({"offset", "first", "model", "second", "model"});
  for (const sim::OverlapPoint& point : sim::kPaperTable2) {
    const auto [first, second] = sim::Overlap(fit.model, point.offset_ms);
    sweep.AddRow({fmt::format("{:g}", point.offset_ms), Ms(point.first_ms), Ms(first),
                  Ms(point.second_ms), Ms(second)});
  }
  fmt::print(
      "{}\nbody {:.1f} ms, post {:.1f} ms, sigma {:.3f}, w = g = {:.3f}; RMSE {:.2f} ms, worst "
      "{:.1f} "
      "ms\n\n",
      sweep.ToString(), fit.model.body_ms, fit.model.post_ms, fit.model.sigma, fit.model.w,
      fit.rmse_ms, fit.max_error_ms);

  fmt::print("Table 3: 4 cameras x 4 fps on one T4, predicted from that fit alone\n\n");
  Table table({"case", "inference ms min", "mean", "max", "drops %", "fps"});
  const auto row = [&](const std::string& name, double min, double mean, double max, double drops,
                       double fps) {
    table.AddRow({name, fmt::format("{:.0f}", min), Ms(mean), fmt::format("{:.0f}", max),
                  fmt::format("{:.2f}", drops * 100), fmt::format("{:.2f}", fps)});
  };
  for (std::size_t i = 0; i < std::size(kCases); ++i) {
    const Leg& leg = legs[i].leg;
    if (!kCases[i].of_the_paper && kCases[i - 1].of_the_paper) {
      fmt::print("{}\n", table.ToString());
      fmt::print(
          "What control is worth: cameras all at once (together-), or in any phase (any-, {} "
          "draws);\n"
          "{:g} ms between turns, {:g} % jitter\n\n",
          kDraws, kHandoffMs, kJitter * 100);
      table = Table({"case", "inference ms min", "mean", "max", "drops %", "fps"});
    }
    if (kCases[i].of_the_paper) {
      const sim::PaperLeg& paper = sim::kPaperTable3[i];
      row(fmt::format("{}, paper", leg.name), paper.min_ms, paper.mean_ms, paper.max_ms,
          paper.drop_ratio, paper.fps);
    }
    row(kCases[i].of_the_paper ? fmt::format("{}, model", leg.name) : leg.name,
        leg.inference_ms->min, leg.inference_ms->mean, leg.inference_ms->max, *leg.drop_ratio,
        *leg.fps);
  }
  fmt::print("{}", table.ToString());
}

}  // namespace

int SimPaper(std::uint64_t seed, bool as_json) {
  const Result<sim::Calibration> fit = sim::Calibrate(sim::kPaperTable2);
  if (!fit) {
    PrintError("sim paper: " + fit.error().message);
    return kExitFailed;
  }
  std::vector<SimLeg> legs;
  for (const Case& which : kCases) {
    const sim::Scenario scenario = ScenarioOf(which, fit.value().model);
    const Result<sim::Outcome> outcome = sim::Simulate(scenario, seed);
    if (!outcome) {
      PrintError("sim paper: " + outcome.error().message);
      return kExitFailed;
    }
    legs.push_back(SimLegs(scenario, outcome.value()).front());
    legs.back().leg.name = which.name;
  }
  as_json ? PrintJson(fit.value(), legs) : PrintText(fit.value(), legs);
  return kExitOk;
}

}  // namespace stagger::cli
