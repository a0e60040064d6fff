// An executor in a simulation: the requests that wait there, and which of them run next, by the
// decisions that a real one makes (batching/batch_choice.h). What a batch takes is its curve's.
#pragma once

#include <cstdint>
#include <vector>

#include "batching/batch_curve.h"
#include "lab/sim/scenario.h"

namespace stagger::sim {

class ExecutorQueue {
 public:
  // `streams`: all of the scenario; those that it serves count.
  ExecutorQueue(const Scenario& scenario, std::size_t executor);

  void Add(std::uint32_t app, TimePoint due);
  bool empty() const { return waiting_.empty(); }

  struct Batch {
    std::vector<std::uint32_t> apps;
    Duration took{};  // alone on the device, without jitter
  };
  // What runs now. Something must wait.
  Batch Take(TimePoint now);

 private:
  struct Waiting {
    TimePoint due;
    std::uint64_t arrival;
    std::uint32_t app;
  };

  batching::BatchCurve curve_;
  int max_batch_;
  Duration patience_ = Duration::max();
  std::vector<Waiting> waiting_;  // by due, then arrival
  std::uint64_t arrivals_ = 0;
};

}  // namespace stagger::sim
