// How long bodies and post phases take on one device when others run beside them. Jobs share the
// processor; each has work left, and gets through it at 1 / slowdown (the formulas are at
// DeviceModel, scenario.h). Between two calls nothing begins or ends, so rates are constant.
//
// Pure and deterministic; O(running jobs) per call, no allocation once it has grown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/time.h"
#include "lab/sim/scenario.h"

namespace stagger::sim {

enum class Phase : std::uint8_t { kBody, kPost };

class GpuModel {
 public:
  explicit GpuModel(const DeviceModel& model) : model_(model) {}

  // Jobs get on until `now`, which must not lie before the last call's.
  void Advance(TimePoint now);
  // From the time of the last Advance. `work`: how long it would take alone. `job`: the caller's
  // number for it, running at most once. `demand` counts for bodies only.
  void Start(std::size_t job, Phase phase, Duration work, double demand);
  // Removes it, done or not.
  void Finish(std::size_t job);
  // Which job ends next, and when, if nothing else happens; the lowest number among equals.
  std::optional<std::pair<TimePoint, std::size_t>> NextCompletion() const;
  // What is left to do of a running job, as if alone, at the time of the last Advance.
  Duration Left(std::size_t job) const;
  // A running job ends no sooner, unless another is taken off before it is done: rates are known
  // until the next completion, and nothing is faster than alone after it.
  TimePoint EarliestEnd(std::size_t job) const;

 private:
  struct Job {
    std::size_t id;
    Phase phase;
    double left;  // ns of work
    double demand;
  };

  void Rate();
  const Job& Find(std::size_t job) const;
  double slowdown(const Job& job) const {
    return job.phase == Phase::kBody ? body_slowdown_ : post_slowdown_;
  }

  const DeviceModel model_;
  std::vector<Job> jobs_;
  TimePoint now_{};
  double body_slowdown_ = 1;
  double post_slowdown_ = 1;
};

}  // namespace stagger::sim
