// What this process did on its GPU, written when it exits to the file that $STAGGER_REPORT names:
// which driver calls were seen and how often, what the app got hold of that no hook covers, and the
// phases of its inferences. `stagger profile` and `stagger doctor` read it; their formats are in
// docs/cuda.md. Without the variable nothing is kept or written.
//
// Thread-safe. Counting is one relaxed increment.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/sync.h"
#include "base/time.h"
#include "cuda_agent/real_driver.h"
#include "phase/detector.h"

namespace stagger::cuda_agent {

class Report {
 public:
  static Report& Get();

  bool wanted() const { return wanted_; }
  void Count(std::size_t at) { counts_[at].fetch_add(1, std::memory_order_relaxed); }
  // The app got this function of the driver, in the list but not hooked.
  void Fetched(std::size_t at) { fetched_[at].store(true, std::memory_order_relaxed); }
  // And this one, which the list does not know.
  void FetchedUnknown(const char* name);
  // An inference is over. `waited`: at the gate.
  void Add(const phase::Inference& inference, Duration waited);
  void Gated() { gated_.fetch_add(1, std::memory_order_relaxed); }

  // At exit.
  void Write(const phase::Detector& detector);
  void AfterForkInChild();

 private:
  struct Phases {
    Duration pre;
    Duration body;
    Duration post;
  };
  static constexpr std::size_t kMostUnknown = 64;
  static constexpr std::size_t kMostInferences = 65536;

  Report();
  std::string Text(const phase::Detector& detector);

  std::string path_;
  bool wanted_ = false;
  std::array<std::atomic<std::uint64_t>, kCallCount> counts_{};
  std::array<std::atomic<bool>, kCallCount> fetched_{};
  std::atomic<std::uint64_t> gated_{0};
  agent::Mutex lock_;
  std::vector<std::string> unknown_;
  std::vector<Phases> inferences_;
};

}  // namespace stagger::cuda_agent
