#include "phase/standing.h"

#include <algorithm>
#include <bit>

namespace stagger::phase {
namespace {

constexpr int kWindow = 16;
// Warm-up is over when so many inferences in a row are alike and took as long as usual; more where it
// is not sure that they are inferences.
constexpr int kSettled = 3;
constexpr int kSettledOfASort = 10;
// An app that never settles is not left ungated for ever.
constexpr std::uint64_t kWarmupInferences = 24;
constexpr std::uint64_t kWarmupBursts = 256;
constexpr Duration kWarmupTime = std::chrono::seconds{10};

constexpr double kEnough = 0.7;
constexpr int kAlikeAgain = 4;   // in a row, to become sure after having been unsure
constexpr int kUnlikeRow = 2;  // in a row, to become unsure

}  // namespace

const char* NameOf(State state) {
  switch (state) {
    case State::kWarmingUp: return "warming up";
    case State::kLearning: return "learning";
    case State::kSure: return "sure";
    case State::kUnsure: return "unsure";
  }
  return "?";
}

int Standing::alike() const { return std::popcount(last_); }

double Standing::confidence() const {
  return static_cast<double>(alike()) / static_cast<double>(looked_at_ + 1);
}

void Standing::Restart(State state, int alike) {
  state_ = state;
  looked_at_ = std::min(alike, kWindow);
  last_ = (1u << looked_at_) - 1;
}

void Standing::WarmUp(bool settled, std::uint32_t sort) {
  if (!settled || sort != sort_) settled_ = 0;
  if (settled) ++settled_;
  sort_ = sort;
  if (settled_ >= (sort == 0 ? kSettled : kSettledOfASort)) {
    Restart(State::kSure, settled_);
  } else if (inferences_ >= kWarmupInferences && sort == 0) {
    Restart(State::kLearning, 0);
  }
}

void Standing::AddInference(Finding finding, bool settled, std::uint32_t sort) {
  ++inferences_;
  const bool alike = finding != Finding::kUnlike;
  streak_ = alike ? streak_ + 1 : 0;
  unlike_in_a_row_ = alike ? 0 : unlike_in_a_row_ + 1;
  if (warming_up()) return WarmUp(alike && settled, sort);
  last_ = (last_ << 1 | (alike ? 1u : 0u)) & ((1u << kWindow) - 1);
  looked_at_ = std::min(looked_at_ + 1, kWindow);
  if (state_ == State::kSure) {
    if (unlike_in_a_row_ >= kUnlikeRow || confidence() < kEnough) state_ = State::kUnsure;
  } else if (streak_ >= kAlikeAgain) {
    Restart(State::kSure, streak_);
  }
}

void Standing::AddBurst(TimePoint now) {
  if (bursts_++ == 0) first_burst_ = now;
  if (warming_up() && bursts_ >= kWarmupBursts && now - first_burst_ >= kWarmupTime)
    Restart(State::kLearning, 0);
}

}  // namespace stagger::phase
