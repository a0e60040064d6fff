// What this process did on its GPU, for `stagger profile` and `stagger doctor` (report/page.h):
// which driver calls were seen and how often, what the app got hold of that no hook covers, and the
// phases of its inferences. Without $STAGGER_REPORT nothing is kept.
//
// Thread-safe. Counting is one relaxed increment.
#pragma once

#include <cstdint>

#include "agent/sync.h"
#include "base/time.h"
#include "cuda_agent/real_driver.h"
#include "phase/detector.h"
#include "report/page.h"

namespace stagger::cuda_agent {

class Report {
 public:
  static Report& Get();

  bool wanted() const { return page_ != nullptr; }
  // Only where wanted().
  void Count(std::size_t at) { page_->counts[at].fetch_add(1, std::memory_order_relaxed); }

  // The app got this function of the driver, in the list but not hooked.
  void Fetched(std::size_t at);
  // And this one, which the list does not know.
  void FetchedUnknown(const char* name);
  // An inference is over. `waited`: at the gate.
  void Add(const phase::Inference& inference, Duration waited);
  // A body began; `turn`: the process has its turn for it.
  void Body(bool turn);
  void WarmedUp();
  // What the detector goes by now. The caller holds the detector's lock.
  void Note(const phase::Detector& detector);

  // At load. A second call does nothing.
  void Begin();
  // At an ordinary exit.
  void End();

 private:
  agent::Mutex lock_;
  report::CudaPage* page_ = nullptr;
};

}  // namespace stagger::cuda_agent
