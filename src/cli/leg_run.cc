#include "cli/leg_run.h"

#include <fmt/core.h>

#include "cli/leg_names.h"

namespace stagger::cli {
namespace {

// A leg's frames leave some ten milliseconds to spare, which a completion here and there may take.
constexpr double kLate = 0.02;
constexpr Duration kLateP99 = std::chrono::milliseconds{3};

}  // namespace

bool DeviceLateness::disturbed() const { return late_ratio > kLate || p99 > kLateP99; }

bool LegRun::disturbed() const {
  return disturbance.disturbed() || (lateness && lateness->disturbed());
}

std::string LegRun::WhyDisturbed() const {
  std::vector<std::string> reasons;
  if (disturbance.disturbed()) {
    reasons.push_back(fmt::format("others used {:.0f} %, {:.0f} % stolen",
                                  disturbance.foreign_ratio * 100, disturbance.stolen_ratio * 100));
  }
  if (lateness && lateness->disturbed()) {
    reasons.push_back(fmt::format("the device was late: p99 {:.1f} ms, {:.1f} % above 1 ms",
                                  ToMs(lateness->p99), lateness->late_ratio * 100));
  }
  return Join(reasons, "; ");
}

}  // namespace stagger::cli
