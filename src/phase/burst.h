// A burst: launches that follow each other without the host waiting for the device. What a thread
// does on a device is bursts, with copies and waits between them; a body is one burst, or its
// greater part.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "phase/call.h"

namespace stagger::phase {

// A launch, or what else a burst consists of, as 32 bits.
using Token = std::uint32_t;

inline Token MakeToken(CallKind kind, std::uint64_t value) {
  std::uint64_t x = (value + 1 + static_cast<std::uint64_t>(kind)) * 0x9e3779b97f4a7c15;
  x ^= x >> 29;
  x *= 0xbf58476d1ce4e5b9;
  return static_cast<Token>(x >> 32);
}

// How a burst began: its first launch with the last 1, 2, 4 and 8 things before it, as hashes.
inline constexpr int kDepths = 4;
using StartKeys = std::array<std::uint64_t, kDepths>;

// What a thread did lately, but for what tells nothing: queries, records, allocations.
class StartHistory {
 public:
  void Push(Token token) {
    if (token == ring_[last_]) return;  // syncs and copies in a row count once
    last_ = (last_ + 1) % ring_.size();
    ring_[last_] = token;
  }

  StartKeys KeysBefore(Token first) const {
    StartKeys keys;
    std::uint64_t key = first;
    std::size_t done = 0;
    for (int depth = 0; depth < kDepths; ++depth) {
      for (; done < std::size_t{1} << depth; ++done) {
        const Token before = ring_[(last_ + ring_.size() - done) % ring_.size()];
        key = (key ^ before) * 0x9e3779b97f4a7c15;
        key ^= key >> 32;
      }
      keys[static_cast<std::size_t>(depth)] = key;
    }
    return keys;
  }

 private:
  std::array<Token, 8> ring_{};
  std::size_t last_ = 0;
};

// A graph counts as so many launches where a time is shared out.
inline constexpr std::uint32_t kLaunchesPerGraph = 64;

// Which pattern a burst has. A slot is used again, an id is not; id 0 is none.
struct PatternRef {
  std::uint32_t slot = 0;
  std::uint32_t id = 0;
  friend bool operator==(PatternRef, PatternRef) = default;
};

struct Burst {
  StartKeys keys{};
  TimePoint start;  // when its first launch went to the driver
  std::uint32_t work = 0;
  std::uint32_t graphs = 0;
  std::uint32_t copies_in = 0;    // since the burst before
  std::uint64_t opened_tick = 0;  // PatternBook's count of bursts as it opened
  bool watched = false;           // opened after warm-up
  PatternRef pattern;             // as looked back
  PatternRef predicted;           // as it began; none if it did not begin by a pattern
  BodyId body = 0;                // 0: ran without a turn
  std::uint32_t ended_at = 0;  // of its body: how much of its work was done; `work` if at its end
  Duration weight{0};          // estimated device time; 0 while unknown
  bool measured = false;       // the weight is the agent's measurement
  bool sliced = false;         // its body was cut into slices; `body` is the last
  bool went_on = false;  // past its body's known end, with what was not light: `body` is the last
};

}  // namespace stagger::phase
