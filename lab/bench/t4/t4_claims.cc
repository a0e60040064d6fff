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

constexpr LegClaim kClaims[] = {
    {"sync drop ratio, controlled", "sync-controlled", nullptr, DropRatio, Bound::kAtMost, 0.005},
    // 16 frames a second arrive; of them 0.5 % may be lost.
    {"sync fps, controlled", "sync-controlled", nullptr, Fps, Bound::kAtLeast, 15.92},
    {"sync drop ratio, spaced60, off 0.125", "sync-spaced60", nullptr, OffSpacedDrops,
     Bound::kAtMost, 0.02},
    {"sync drop ratio, uncontrolled", "sync-uncontrolled", nullptr, DropRatio, Bound::kAtLeast,
     0.45},
    {"any phases drop ratio, controlled", "any-controlled", nullptr, DropRatio, Bound::kAtMost, 0},
    {"saturated fps, controlled / uncontrolled", "saturated-controlled", "saturated-uncontrolled",
     Fps, Bound::kAtLeast, 1.6},
    {"saturated fps, controlled / spaced60", "saturated-controlled", "saturated-spaced60", Fps,
     Bound::kAtLeast, 1.15},
    {"saturated fps, controlled / alone", "saturated-controlled", "alone", Fps, Bound::kAtLeast,
     1.9},
};

}  // namespace

std::vector<Claim> T4Claims(const LegRuns& runs) {
  return JudgeLegs(kClaims, runs, MachineDoubt(runs, "alone"));
}

}  // namespace stagger::cli
