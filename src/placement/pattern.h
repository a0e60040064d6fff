// A pattern: how many parts of which classes one device serves. And the exact admission test for
// patterns: the one of admission/admission.h, for many equal tasks at once, walked from the far end
// (QPA: Zhang, Burns 2009), so that a planner can ask it a million times a second. Never admits
// what Admit() would not. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "placement/catalogue.h"

namespace stagger::placement {

struct Portion {
  ClassId of = 0;
  std::uint32_t count = 0;
  friend auto operator<=>(const Portion&, const Portion&) = default;
};
using Pattern = std::vector<Portion>;  // by class ascending, counts > 0

// As such; not for use by two threads at once.
class PatternTest {
 public:
  explicit PatternTest(const Catalogue& catalogue) : catalogue_(catalogue) {}

  // Whether a device of `type` can serve it: every class fits the type, memory, exact test.
  // Portions may come in any order, a class more than once.
  bool Passes(TypeId type, std::span<const Portion> pattern) const;
  // How many more of `of`, at most `most`, beside `pattern`.
  std::uint32_t RoomFor(TypeId type, std::span<const Portion> pattern, ClassId of,
                        std::uint32_t most) const;

  double MemoryOf(std::span<const Portion> pattern) const;
  double ShareOf(TypeId type, std::span<const Portion> pattern) const;
  std::uint64_t asked() const { return asked_; }

 private:
  struct Item {
    std::int64_t due;
    std::int64_t period;
    std::int64_t body;
    std::int64_t bodies;  // of all of them together
  };
  bool PassesLinear() const;
  bool PassesExact(long double used) const;
  std::int64_t Work(std::int64_t until) const;
  bool Walk(std::int64_t low, std::int64_t high, std::int64_t blocked) const;
  std::int64_t Busy() const;

  const Catalogue& catalogue_;
  mutable std::vector<Item> items_;  // by due
  mutable std::vector<std::int64_t> longest_;
  mutable std::vector<Portion> scratch_;
  mutable std::uint64_t asked_ = 0;
};

// Adds to a pattern, which stays in order.
void AddTo(Pattern& pattern, ClassId of, std::uint32_t count);

}  // namespace stagger::placement
