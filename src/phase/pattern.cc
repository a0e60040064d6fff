#include "phase/pattern.h"

#include <algorithm>

namespace stagger::phase {
namespace {

constexpr std::int64_t kGuessPerLaunchNs = 20'000;
constexpr std::int64_t kGuessPerGraphNs = 2'000'000;
// So many times as long: still warming up. Others on the device may make it twice as long.
constexpr int kUnsteady = 3;

}  // namespace

Pattern::Pattern(std::uint32_t new_id, std::span<const Token> first, const Burst& burst)
    : id(new_id), tokens(first.begin(), first.end()) {
  Add(first, burst, first.size());
}

std::size_t Pattern::CommonWith(std::span<const Token> other) const {
  const auto [here, there] =
      std::mismatch(tokens.begin(), tokens.end(), other.begin(), other.end());
  return static_cast<std::size_t>(here - tokens.begin());
}

bool Pattern::Covers(std::span<const Token> other, std::uint32_t other_work,
                     std::size_t common) const {
  const std::uint64_t longer = std::max(work, other_work);
  const std::uint64_t shorter = std::min(work, other_work);
  if (common == tokens.size() && common == other.size()) return shorter * 5 >= longer * 4;
  return longer >= 5 && common * 5 >= longer * 4;
}

void Pattern::Add(std::span<const Token> other, const Burst& burst, std::size_t common) {
  ++seen;
  for (std::size_t d = 0; d < keys_.size(); ++d)
    if (!keys_[d].Contains(burst.keys[d])) keys_[d].Add(burst.keys[d]);
  common_.Add(static_cast<std::uint32_t>(common));
  const bool cut_short = common == other.size() && common < tokens.size();
  if (cut_short) return;
  work = burst.work;
  graphs = burst.graphs;
  if (common < other.size()) tokens.assign(other.begin(), other.end());
  if (end > tokens.size()) end = 0;  // until it is looked for again
}

void Pattern::AddWeight(Duration weight, bool measured) {
  (measured ? measured_ns_ : estimated_ns_).Add(weight.count());
  before_last_ns_ = last_ns_;
  last_ns_ = weight.count();
}

Duration Pattern::Weight() const {
  for (const auto* samples : {&measured_ns_, &estimated_ns_}) {
    const std::size_t n = samples->values().size();
    if (n > 0) return Duration{samples->Ordered(n / 4)};
  }
  return Duration{work * kGuessPerLaunchNs + graphs * kGuessPerGraphNs};
}

bool Pattern::IsSteady() const {
  return last_ns_ <= kUnsteady * before_last_ns_ && before_last_ns_ <= kUnsteady * last_ns_;
}

bool Pattern::BeganWith(const StartKeys& keys, int at) const {
  const auto d = static_cast<std::size_t>(at);
  return keys_[d].Contains(keys[d]);
}

bool Pattern::SharesKeyWith(const Pattern& other, int at) const {
  const auto d = static_cast<std::size_t>(at);
  return std::ranges::any_of(keys_[d].values(),
                             [&](std::uint64_t key) { return other.keys_[d].Contains(key); });
}

std::size_t Pattern::StableLength() const {
  const std::size_t n = common_.values().size();
  return common_.Ordered(n >= 4 ? 1 : 0);
}

}  // namespace stagger::phase
