// Calls of an app that is known allocate nothing: the detector runs inside of it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "apps.h"
#include "phase/detector.h"

namespace {
long allocations = 0;
}

// Not inlined: the compiler would take free() for a mistake.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace stagger::phase {
namespace {

class KnownApp : public testing::TestWithParam<App> {};

TEST_P(KnownApp, AllocatesNothing) {
  const Trace trace = GetParam().make(1);
  Detector detector;
  const std::size_t half = trace.steps.size() / 2;
  long before = allocations;
  for (std::size_t i = 0; i < trace.steps.size(); ++i) {
    if (i == half) {
      EXPECT_GT(allocations, before);  // it did while it learned
      before = allocations;
    }
    const Step& step = trace.steps[i];
    detector.Before(step.call);
    if (step.call.kind == CallKind::kBlockingSync || step.call.kind == CallKind::kCopyOut)
      detector.Returned(step.call, step.returned);
  }
  EXPECT_EQ(allocations, before);
}

INSTANTIATE_TEST_SUITE_P(Apps, KnownApp, testing::ValuesIn(SteadyApps()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace stagger::phase
