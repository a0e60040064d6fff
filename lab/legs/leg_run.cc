#include "lab/legs/leg_run.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "console/sentences.h"

namespace stagger::cli {
namespace {

// Measured (docs/measurements/t4.md): on a quiet machine 0.2 to 0.4 % of completions are more than
// 1 ms late, at 1.6 % the mean inference is still within 2 % of the model's, at 30 % frames are
// lost. An inference waits for some seven completions and the tightest leg has 18 ms to spare.
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

Result<std::vector<std::string>> ChooseLegs(const std::string& list,
                                            const std::vector<std::string>& known) {
  if (list == "all") return known;
  std::set<std::string> wanted;
  std::istringstream rest(list + ",");
  for (std::string name; std::getline(rest, name, ',');) {
    if (std::ranges::find(known, name) == known.end()) {
      return Error{fmt::format("--legs: unknown leg '{}'; known: {}", name, Join(known, ", "))};
    }
    wanted.insert(name);
  }
  std::vector<std::string> chosen;
  std::copy_if(known.begin(), known.end(), std::back_inserter(chosen),
               [&](const std::string& name) { return wanted.count(name) > 0; });
  return chosen;
}

}  // namespace stagger::cli
