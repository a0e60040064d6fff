// Calls of an app that is known allocate nothing: the detector runs inside of it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "apps.h"
#include "phase/detector.h"

namespace {
long allocations = 0;
}

// Not inlined: the compiler would take free() for a mistake. The nothrow one, too, since its memory
// comes back by the same delete.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
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
    const bool known = step.call.kind == CallKind::kLaunch && detector.IsAsKnown(step.call);
    if (!known) detector.Before(step.call);
    if (step.call.kind == CallKind::kBlockingSync || step.call.kind == CallKind::kCopyOut)
      detector.Returned(step.call, step.returned);
  }
  EXPECT_EQ(allocations, before);
}

TEST_P(KnownApp, IsJudgedTheSameTheShortWay) {
  const Trace trace = GetParam().make(1);
  Detector detector;
  Detector other;
  std::size_t launches = 0;
  std::size_t known = 0;
  for (const Step& step : trace.steps) {
    const bool launch = step.call.kind == CallKind::kLaunch;
    const bool as_known = launch && detector.IsAsKnown(step.call);
    launches += launch;
    known += as_known;
    const Verdict verdict = as_known ? Verdict() : detector.Before(step.call);
    const Verdict same = other.Before(step.call);
    ASSERT_EQ(verdict.ended_before, same.ended_before);
    ASSERT_EQ(verdict.begun, same.begun);
    ASSERT_EQ(verdict.ended_after, same.ended_after);
    ASSERT_EQ(verdict.marked, same.marked);
    ASSERT_EQ(verdict.inference_ended, same.inference_ended);
    for (Detector* one : {&detector, &other}) {
      if (step.call.kind == CallKind::kBlockingSync || step.call.kind == CallKind::kCopyOut)
        one->Returned(step.call, step.returned);
    }
  }
  // Where the end of bodies is known, most launches are of the kind.
  EXPECT_TRUE(known > launches / 2 || GetParam().name == "one_graph")
      << known << " of " << launches;
}

INSTANTIATE_TEST_SUITE_P(Apps, KnownApp, testing::ValuesIn(SteadyApps()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace stagger::phase
