// Whether every body would end in time: the processor-demand test for non-preemptive EDF, one body
// at a time, exact for streams whose frames may come at any time that keeps their periods apart
// (Jeffay, Stanat, Martel 1991 for deadlines equal to periods; George, Rivierre, Spuri 1996 for any
// deadlines and release jitter). Pure; integer nanoseconds.
//
// With d = D - J, demand and blocking up to t after the beginning of a busy time are
//   h(t) = sum over d_i <= t of (floor((t - d_i) / T_i) + 1) * C_i
//   b(t) = max over d_j > t of C_j, a body that began just before and cannot be stopped
// and the set is schedulable if and only if U <= 1 and h(t) + b(t) <= t for every deadline t.
// Streams that keep to fixed phases may do better than that; the test promises for the worst ones.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"

namespace stagger::admission {

struct Task {
  Duration period{};    // least time between two frames; 0: no rate, it only ever stands in the way
  Duration body{};      // C: on the device, hand-off included; > 0
  Duration deadline{};  // D: of the body, from the release of its frame
  Duration jitter{};    // J: how much later than its frame a body may be ready
};

struct Admission {
  bool admitted = false;
  double utilisation = 0;  // U: bodies' share of the device
  // Where not admitted, and the reason is not U > 1 alone: the deadline that can be missed, counted
  // from the beginning of the busy time, and what must be done by then.
  Duration interval{};
  Duration demand{};                    // h + b; more than `interval`
  std::optional<std::size_t> binding;   // the task with that deadline
  std::optional<std::size_t> blocking;  // the one that began just before
  enum class Test : char {
    kLinear,  // the sufficient one was enough
    kExact,
    kOverload,  // U > 1
    kGaveUp     // U so near 1 that the deadlines to be looked at are beyond count: not admitted
  };
  Test decided = Test::kExact;
};

// All bodies > 0; periods, deadlines and jitters >= 0, all below a year.
Admission Admit(std::span<const Task> tasks);

// The linear sufficient test alone, O(n log n): for each i, by d ascending,
//   sum over d_j <= d_i of C_j / min(d_j, T_j) + max over d_k > d_i of C_k / d_i <= 1.
bool AdmitLinear(std::span<const Task> tasks);

// The highest rate (frames a second, at most its own) at which tasks[which] would be admitted with
// the others, to 1 %; with `deadline_follows` its deadline grows with its period. nullopt: none.
std::optional<double> HighestRate(std::span<const Task> tasks, std::size_t which,
                                  bool deadline_follows);

}  // namespace stagger::admission
