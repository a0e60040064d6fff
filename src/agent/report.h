// What this process did, for `stagger profile` and `stagger doctor` (report/page.h). Without
// $STAGGER_REPORT nothing is kept: each function below is then one comparison.
#pragma once

#include <string>

#include "base/time.h"
#include "report/page.h"

namespace stagger::agent {

// Null unless asked for. Set before any hook can run, for good.
extern report::AgentPage* report_page;

inline void Count(report::Count report::AgentPage::*what) {
  if (report_page != nullptr) (report_page->*what).fetch_add(1, std::memory_order_relaxed);
}

// One inference that had asked for its turn: all of the call but the wait is its body.
void ReportInference(TimePoint call_start, TimePoint begun, TimePoint end);
// A runtime the app got hold of; `hooked` false: one too many.
void ReportRuntime(const void* entry, const char* version, bool hooked);
void ReportSession(bool accelerated, bool cooperative);

// Where executors are named. What stayed in the app, and why: a session, a call, or all of a
// runtime's.
enum class Staying : unsigned char { kSession, kCall, kRuntime };
void ReportStayed(Staying what, const std::string& why);
// The executor's place in the report, for CountExecutor: of an inference, or a part, that it did.
unsigned ReportExecutor(const std::string& socket);
inline void CountExecutor(unsigned place) {
  if (report_page == nullptr || place >= report::kMostExecutors) return;
  report_page->executors[place].inferences.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace stagger::agent
