#include "lab/bench/t4/t4_plan.h"

#include <fmt/core.h>

#include <cmath>
#include <cstdlib>
#include <tuple>

#include "lab/sim/random.h"

namespace stagger::cli {
namespace {

constexpr int kCameras = 4;
constexpr double kFps = 4;
constexpr int kBusyApps = 8;
constexpr double kBusyApart = 13;  // ms between their starts
// The app's own work, in ms: what one app of the paper does alone (10 fps) leaves, and less.
constexpr double kAppWork = 27;
constexpr double kLightAppWork = 10;
constexpr double kSpacing = 60;  // ms, the paper's

bool StartsWith(const std::string& text, const std::string& begin) {
  return text.compare(0, begin.size(), begin) == 0;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

std::vector<std::string> T4LegNames() {
  std::vector<std::string> names{"alone"};
  for (const std::string load : {"sync", "any", "saturated"}) {
    for (const char* how : {"uncontrolled", "spaced60", "controlled"}) {
      names.push_back(load + "-" + how);
    }
    if (load != "any") names.push_back(load + "-percentage");
  }
  return names;
}

std::vector<std::string> T4Variants(const std::string& leg) {
  if (!Has(leg, "-percentage")) return {leg};
  // What is usual: each its part, or twice as much, since not all are busy at once.
  const double apps = StartsWith(leg, "saturated") ? kBusyApps : kCameras;
  return {fmt::format("{} {:.0f}", leg, std::ceil(100 / apps)),
          fmt::format("{} {:.0f}", leg, std::ceil(200 / apps))};
}

int PercentageOf(const std::string& variant) {
  const std::size_t space = variant.rfind(' ');
  return space == std::string::npos ? 0 : std::atoi(variant.c_str() + space + 1);
}

CudaLegPlan T4Plan(const std::string& variant, const T4Settings& settings, int repeat,
                   const vgpu::Model& model) {
  CudaLegPlan plan;
  plan.name = variant;
  plan.seconds = settings.seconds;
  plan.body_ms = ToMs(model.kernels.at("body").cost);
  plan.post_ms = ToMs(model.kernels.at("post").cost);
  plan.app_ms = StartsWith(variant, "sync") ? kLightAppWork : kAppWork;
  plan.percentage = PercentageOf(variant);
  plan.spacing_ms = kSpacing;
  if (Has(variant, "-spaced")) plan.policy = "spaced";
  if (Has(variant, "-controlled")) plan.policy = "fifo";
  if (variant == "alone") {
    plan.phases_ms = {0};
  } else if (StartsWith(variant, "saturated")) {
    for (int i = 0; i < kBusyApps; ++i) plan.phases_ms.push_back(kBusyApart * i);
  } else {
    plan.fps = kFps;
    const sim::Phases phases(kCameras, settings.seed);
    for (std::size_t i = 0; i < kCameras; ++i) {
      const double phase = StartsWith(variant, "any") ? phases.Of(i, repeat) : 0;
      plan.phases_ms.push_back(phase * 1000 / kFps);
    }
  }
  return plan;
}

std::string BestVariant(const std::vector<std::string>& variants, const LegRuns& runs) {
  using Merit = std::tuple<double, double, double>;  // less is better
  std::string best;
  Merit least;
  for (const std::string& variant : variants) {
    std::vector<Leg> legs;
    for (const LegRun& run : runs.at(variant)) legs.push_back(run.leg);
    const Leg median = MedianLeg(legs);
    const Merit merit{median.drop_ratio.value_or(0), -median.fps.value_or(0),
                      median.inference_ms ? median.inference_ms->mean : 0};
    if (!best.empty() && !(merit < least)) continue;
    best = variant;
    least = merit;
  }
  return best;
}

}  // namespace stagger::cli
