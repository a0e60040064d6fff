#include "agent/report.h"

#include <dlfcn.h>
#include <pthread.h>

#include "agent/sync.h"
#include "report/page_file.h"

namespace stagger::agent {

constinit report::AgentPage* report_page = nullptr;

namespace {

using report::AgentPage;

// Made by the constructor below, so that nothing has to ask whether it is there. Never destroyed.
Mutex* lock = nullptr;
alignas(Mutex) unsigned char storage[sizeof(Mutex)];

__attribute__((constructor)) void Begin() {
  report_page = static_cast<AgentPage*>(report::MakePage(AgentPage::kSuffix, sizeof(AgentPage)));
  if (report_page == nullptr) return;
  lock = ::new (storage) Mutex();
  pthread_atfork([]() NO_THREAD_SAFETY_ANALYSIS { lock->Lock(); },
                 []() NO_THREAD_SAFETY_ANALYSIS { lock->Unlock(); },
                 []() NO_THREAD_SAFETY_ANALYSIS {
                   lock->Renew();
                   report::RenewPage(report_page, AgentPage::kSuffix, sizeof(AgentPage));
                 });
}

// At an ordinary exit. Before that the reader looks into /proc itself.
__attribute__((destructor)) void End() {
  if (report_page != nullptr) report::NoteLibraries(&report_page->head);
}

}  // namespace

void ReportInference(TimePoint call_start, TimePoint begun, TimePoint end) {
  if (report_page == nullptr) return;
  MutexLock held(lock);
  report_page->inferences.Add(
      {0, (end - begun).count(), 0, (begun - call_start).count(), /*bodies=*/1});
}

void ReportRuntime(const void* entry, const char* version, bool hooked) {
  if (report_page == nullptr) return;
  MutexLock held(lock);
  const std::uint32_t at = report_page->runtime_count.load(std::memory_order_relaxed);
  Dl_info info{};
  const bool found = dladdr(entry, &info) != 0 && info.dli_fname != nullptr;
  const std::string path = found ? info.dli_fname : "";
  for (std::uint32_t i = 0; i < at; ++i) {
    if (report_page->runtimes[i].path.Get() == path) return;
  }
  if (at == report_page->runtimes.size()) return;
  report::Runtime& runtime = report_page->runtimes[at];
  runtime.version.Set(version != nullptr ? version : "");
  runtime.path.Set(path);
  runtime.hooked = hooked ? 1 : 0;
  report_page->runtime_count.store(at + 1, std::memory_order_release);
}

void ReportSession(bool accelerated, bool cooperative) {
  Count(&AgentPage::sessions);
  if (accelerated) Count(&AgentPage::accelerated_sessions);
  if (cooperative) Count(&AgentPage::cooperative_sessions);
}

void ReportStayed(Staying what, const std::string& why) {
  if (report_page == nullptr) return;
  MutexLock held(lock);
  const std::uint32_t count = report_page->stayed_count.load(std::memory_order_relaxed);
  std::uint32_t at = 0;
  while (at < count && report_page->stayed[at].why.Get() != why) ++at;
  if (at == report_page->stayed.size()) --at;
  report::Stayed& stayed = report_page->stayed[at];
  if (at == count) {
    const bool last = at + 1 == report_page->stayed.size();
    stayed.why.Set(last ? "other reasons" : why);
    report_page->stayed_count.store(at + 1, std::memory_order_release);
  }
  if (what == Staying::kSession) stayed.sessions.fetch_add(1, std::memory_order_relaxed);
  if (what == Staying::kCall) stayed.calls.fetch_add(1, std::memory_order_relaxed);
}

unsigned ReportExecutor(const std::string& socket) {
  if (report_page == nullptr) return report::kMostExecutors;
  MutexLock held(lock);
  const std::uint32_t count = report_page->executor_count.load(std::memory_order_relaxed);
  std::uint32_t at = 0;
  while (at < count && report_page->executors[at].socket.Get() != socket) ++at;
  if (at == count && at < report::kMostExecutors) {
    report_page->executors[at].socket.Set(socket);
    report_page->executor_count.store(at + 1, std::memory_order_release);
  }
  return at;
}

}  // namespace stagger::agent
