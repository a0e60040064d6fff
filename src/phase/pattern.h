// A pattern: what bursts of one sort have in common. Their work, how they begin, how long the
// device takes for them, and, once the pattern is known as a body, where that body ends.
//
// Owned by the PatternBook.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/time.h"
#include "phase/burst.h"

namespace stagger::phase {

// A few recent values, in no order.
template <typename T, std::size_t kCount = 8>
class Recent {
 public:
  void Add(T value) { values_[count_++ % values_.size()] = value; }
  std::span<const T> values() const {
    return {values_.data(), count_ < values_.size() ? count_ : values_.size()};
  }
  bool Contains(T value) const { return std::ranges::find(values(), value) != values().end(); }
  // The k-th smallest; there must be more than k.
  T Ordered(std::size_t k) const {
    std::array<T, kCount> sorted = values_;
    std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(values().size()));
    return sorted[k];
  }

 private:
  std::array<T, kCount> values_{};
  std::size_t count_ = 0;
};

class Pattern {
 public:
  // Longer bursts are known by their beginning only; a body of theirs ends where the burst does.
  static constexpr std::size_t kMaxTokens = 8192;

  Pattern() = default;
  Pattern(std::uint32_t id, std::span<const Token> tokens, const Burst& burst);

  // How much of the beginning the two share.
  std::size_t CommonWith(std::span<const Token> tokens) const;
  // Whether a burst that shares so much is of this sort: all of it, or all but a short end.
  bool Covers(std::span<const Token> tokens, std::uint32_t work, std::size_t common) const;
  // Another burst of this sort. The newest stands for the pattern, unless it was only cut short.
  void Add(std::span<const Token> tokens, const Burst& burst, std::size_t common);

  void AddWeight(Duration weight, bool measured);
  // Device time: of what was measured, else of what the host's waits tell, the lower quartile,
  // since others on the device only make it longer; else a guess from the number of launches.
  Duration Weight() const;

  // Whether the last two took about as long.
  bool IsSteady() const;

  bool BeganWith(const StartKeys& keys, int depth) const;
  bool SharesKeyWith(const Pattern& other, int depth) const;

  // So much of the beginning is the same in almost every burst: one in eight may differ.
  std::size_t StableLength() const;

  std::uint32_t id = 0;
  std::vector<Token> tokens;
  std::uint32_t work = 0;
  std::uint32_t graphs = 0;
  std::uint64_t seen = 0;
  std::uint64_t last_tick = 0;
  std::uint64_t interval = 0;  // between occurrences, in bursts; smoothed

  // Looking back at whole inferences: how often it was a heavy part, how often a light one.
  std::uint32_t heavy = 0;
  std::uint32_t light = 0;

  bool is_body = false;
  std::uint64_t body_since = 0;   // tick
  std::uint32_t end = 0;          // the body ends after so much work; 0: where the burst ends
  bool end_at_burst_end = false;  // its end was told wrongly too often
  int depth = 0;                  // how much of what precedes tells the body from other bursts
  std::uint8_t misses = 0;        // the last 8 predictions, 1: wrong
  std::uint32_t failures = 0;     // how often it was trusted and proved wrong

 private:
  std::array<Recent<std::uint64_t>, kDepths> keys_;  // by depth; each once
  Recent<std::uint32_t> common_;
  Recent<std::int64_t> estimated_ns_;
  Recent<std::int64_t> measured_ns_;
  std::int64_t last_ns_ = 0;
  std::int64_t before_last_ns_ = 0;
};

}  // namespace stagger::phase
