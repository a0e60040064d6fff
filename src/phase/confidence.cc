#include "phase/confidence.h"

#include <algorithm>
#include <bit>

namespace stagger::phase {
namespace {

constexpr int kWindow = 16;
// Warm-up is over when so many inferences in a row are alike and took as long as usual; more where
// it is not sure that they are inferences.
constexpr int kSettled = 3;
constexpr int kSettledOfASort = 10;
// An app that never settles is not left ungated for ever.
constexpr std::uint64_t kWarmupInferences = 12;
constexpr std::uint64_t kWarmupBursts = 256;
constexpr Duration kWarmupTime = std::chrono::seconds{10};

constexpr int kWarmupEndless = 3;

constexpr double kEnough = 0.7;
constexpr int kAlikeRow = 4;   // in a row, to become sure
constexpr int kUnlikeRow = 2;  // in a row, to become unsure

}  // namespace

const char* NameOf(State state) {
  switch (state) {
    case State::kWarmingUp:
      return "warming up";
    case State::kLearning:
      return "learning";
    case State::kSure:
      return "sure";
    case State::kUnsure:
      return "unsure";
  }
  return "?";
}

int Confidence::alike() const { return std::popcount(last_); }

double Confidence::value() const {
  return static_cast<double>(alike()) / static_cast<double>(looked_at_ + 1);
}

void Confidence::EndWarmUp() {
  state_ = State::kLearning;
  streak_ = 0;
}

void Confidence::WarmUp(bool settled, std::uint32_t sort) {
  if (!settled || sort != sort_) settled_ = 0;
  if (settled) ++settled_;
  sort_ = sort;
  const bool has_settled = settled_ >= (sort == 0 ? kSettled : kSettledOfASort);
  if (has_settled || (inferences_ >= kWarmupInferences && sort == 0)) EndWarmUp();
}

void Confidence::AddInference(Finding finding, bool settled, std::uint32_t sort) {
  ++inferences_;
  if (warming_up()) return WarmUp(finding != Finding::kUnlike && settled, sort);
  if (finding == Finding::kNew) return;
  const bool alike = finding == Finding::kAlike;
  streak_ = alike ? streak_ + 1 : 0;
  unlike_in_a_row_ = alike ? 0 : unlike_in_a_row_ + 1;
  last_ = (last_ << 1 | (alike ? 1u : 0u)) & ((1u << kWindow) - 1);
  looked_at_ = std::min(looked_at_ + 1, kWindow);
  if (state_ == State::kSure) {
    if (unlike_in_a_row_ >= kUnlikeRow || value() < kEnough) state_ = State::kUnsure;
  } else if (streak_ >= kAlikeRow) {
    // What it was unsure of before is no longer so.
    state_ = State::kSure;
    looked_at_ = std::min(streak_, kWindow);
    last_ = (1u << looked_at_) - 1;
  }
}

void Confidence::AddEndlessBurst() {
  if (warming_up() && ++endless_ >= kWarmupEndless) EndWarmUp();
}

void Confidence::AddBurst(TimePoint now) {
  endless_ = 0;
  if (bursts_++ == 0) first_burst_ = now;
  if (warming_up() && bursts_ >= kWarmupBursts && now - first_burst_ >= kWarmupTime) EndWarmUp();
}

}  // namespace stagger::phase
