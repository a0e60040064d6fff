#include "lab/bench/t4/t4_claims.h"

#include <cmath>

#include "lab/bench/leg_claims.h"

namespace stagger::cli {
namespace {

// With all cameras at once and 60 ms between starts the fourth camera misses every other frame.
constexpr double kSpacedDrops = 0.125;
std::optional<double> OffSpacedDrops(const LegRun& run) {
  return run.leg.drop_ratio ? std::optional(std::abs(*run.leg.drop_ratio - kSpacedDrops))
                            : std::nullopt;
}

struct FigureClaim {
  const char* name;
  const char* leg;
  Figure figure;
  Bound bound;
  double limit;
};
constexpr FigureClaim kFigureClaims[] = {
    {"sync drop ratio, controlled", "sync-controlled", DropRatio, Bound::kAtMost, 0.005},
    // 16 frames a second arrive; of them 0.5 % may be lost.
    {"sync fps, controlled", "sync-controlled", Fps, Bound::kAtLeast, 15.92},
    {"sync drop ratio, spaced60, off 0.125", "sync-spaced60", OffSpacedDrops, Bound::kAtMost, 0.02},
    {"sync drop ratio, uncontrolled", "sync-uncontrolled", DropRatio, Bound::kAtLeast, 0.45},
    {"any phases drop ratio, controlled", "any-controlled", DropRatio, Bound::kAtMost, 0},
};

struct RatioClaim {
  const char* name;
  const char* over;
  const char* under;
  double at_least;
};
constexpr RatioClaim kRatioClaims[] = {
    {"saturated fps, controlled / uncontrolled", "saturated-controlled", "saturated-uncontrolled",
     1.6},
    {"saturated fps, controlled / spaced60", "saturated-controlled", "saturated-spaced60", 1.15},
    {"saturated fps, controlled / alone", "saturated-controlled", "alone", 1.9},
};

}  // namespace

std::vector<Claim> T4Claims(const LegRuns& runs) {
  const std::string doubt = MachineDoubt(runs, "alone");
  std::vector<Claim> claims;
  for (const FigureClaim& claim : kFigureClaims) {
    if (const auto* leg = RunsOf(runs, claim.leg)) {
      claims.push_back(
          Judge(claim.name, Values(*leg, claim.figure), claim.bound, claim.limit, doubt));
    }
  }
  for (const RatioClaim& claim : kRatioClaims) {
    const auto* over = RunsOf(runs, claim.over);
    const auto* under = RunsOf(runs, claim.under);
    if (over == nullptr || under == nullptr) continue;
    claims.push_back(
        Judge(claim.name, Ratios(*over, *under, Fps), Bound::kAtLeast, claim.at_least, doubt));
  }
  return claims;
}

}  // namespace stagger::cli
