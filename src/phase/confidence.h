// Confidence: how far what was learned can be relied on, from how the last inferences turned out.
//
// One per process. Confidence is alike / (looked at + 1) over the last 16 inferences since warm-up
// or since the app last changed: how many of them, looked back at, consisted of known patterns
// whose bodies were told rightly, begin and end, while they happened. So it is 0 at first, 0.8
// after four alike (sure), 0.94 after sixteen.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace stagger::phase {

enum class State : std::uint8_t { kWarmingUp, kLearning, kSure, kUnsure };

const char* NameOf(State state);

// What looking back at one inference found.
enum class Finding : std::uint8_t {
  kAlike,  // known patterns, and its bodies were told rightly
  kNew,    // known patterns, but not soon enough to tell its bodies; neither for nor against
  kUnlike,
};

class Confidence {
 public:
  // A finished inference. `settled`: it took about as long as the one before. `sort`: the heaviest
  // pattern's id, if that pattern alone distinguishes it from the one before; else 0.
  void AddInference(Finding finding, bool settled, std::uint32_t sort = 0);
  // A finished burst, of an inference or not: warm-up ends, settled or not, when it lasted too
  // long.
  void AddBurst(TimePoint now);

  // A burst that did not end, but went on for so long that it was cut.
  void AddEndlessBurst();

  State state() const { return state_; }
  bool warming_up() const { return state_ == State::kWarmingUp; }
  double value() const;
  int alike() const;  // of the last looked_at()
  int looked_at() const { return looked_at_; }
  std::uint64_t inferences() const { return inferences_; }

 private:
  void WarmUp(bool settled, std::uint32_t sort);
  void EndWarmUp();

  State state_ = State::kWarmingUp;
  std::uint32_t last_ = 0;  // bit i: the i-th last inference was alike
  int looked_at_ = 0;       // at most 16
  int streak_ = 0;          // alike in a row
  int unlike_in_a_row_ = 0;
  int settled_ = 0;  // while warming up: in a row, of the same sort
  std::uint32_t sort_ = 0;
  std::uint64_t inferences_ = 0;
  std::uint64_t bursts_ = 0;
  int endless_ = 0;  // in a row
  TimePoint first_burst_;
};

}  // namespace stagger::phase
