#include "cuda_agent/report.h"

#include <pthread.h>

#include <algorithm>
#include <new>

#include "cuda_agent/hooks.h"
#include "report/page_file.h"

namespace stagger::cuda_agent {

using report::CudaPage;

Report& Report::Get() {
  // Never destroyed: the app's threads may still launch while the process exits.
  alignas(Report) static unsigned char storage[sizeof(Report)];
  static Report* const report = ::new (storage) Report();
  return *report;
}

void Report::Begin() {
  if (page_ != nullptr) return;
  page_ = static_cast<CudaPage*>(report::MakePage(CudaPage::kSuffix, sizeof(CudaPage)));
  if (page_ == nullptr) return;
  const auto note_hooks = [](CudaPage* page) {
    for (std::size_t at = 0; at < kCallCount; ++at) page->hooked[at] = HookFor(at) != nullptr;
  };
  note_hooks(page_);
  pthread_atfork([]() NO_THREAD_SAFETY_ANALYSIS { Get().lock_.Lock(); },
                 []() NO_THREAD_SAFETY_ANALYSIS { Get().lock_.Unlock(); },
                 []() NO_THREAD_SAFETY_ANALYSIS {
                   Report& self = Get();
                   self.lock_.Renew();
                   std::array<std::uint8_t, kCallCount> hooked = self.page_->hooked;
                   report::RenewPage(self.page_, CudaPage::kSuffix, sizeof(CudaPage));
                   self.page_->hooked = hooked;
                 });
}

void Report::End() {
  if (wanted()) report::NoteLibraries(&page_->head);
}

void Report::Fetched(std::size_t at) {
  if (wanted()) page_->fetched[at].store(1, std::memory_order_relaxed);
}

void Report::FetchedUnknown(const char* name) {
  if (!wanted()) return;
  agent::MutexLock lock(&lock_);
  const std::uint32_t count = page_->unknown_count.load(std::memory_order_relaxed);
  const auto end = page_->unknown.begin() + count;
  const bool known = std::any_of(page_->unknown.begin(), end,
                                 [&](const auto& text) { return text.Get() == name; });
  if (known || end == page_->unknown.end()) return;
  end->Set(name);
  page_->unknown_count.store(count + 1, std::memory_order_release);
}

void Report::Add(const phase::Inference& inference, Duration waited) {
  if (!wanted() || inference.bodies == 0) return;
  const Duration pre = inference.body_begin - inference.begin - waited;
  const Duration post = inference.end - inference.body_begin - inference.body;
  agent::MutexLock lock(&lock_);
  page_->inferences.Add({std::max(pre, Duration{}).count(), inference.body.count(),
                         std::max(post, Duration{}).count(), waited.count(), inference.bodies});
}

void Report::Body(bool turn) {
  if (wanted()) (turn ? page_->turns : page_->without_turn).fetch_add(1, std::memory_order_relaxed);
}

void Report::WarmedUp() {
  if (wanted()) page_->warmups.fetch_add(1, std::memory_order_relaxed);
}

void Report::Note(const phase::Detector& detector) {
  if (!wanted()) return;
  page_->state.Set(phase::NameOf(detector.state()));
  page_->reason.Set(detector.Reason());
  page_->confidence.store(detector.confidence(), std::memory_order_relaxed);
  page_->seen.store(detector.inferences(), std::memory_order_relaxed);
}

}  // namespace stagger::cuda_agent
