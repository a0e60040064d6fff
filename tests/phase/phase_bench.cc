// What a call costs in the detector: of an app that is known, by kind, and while it is learned.
#include <benchmark/benchmark.h>

#include <vector>

#include "apps.h"
#include "phase/detector.h"

namespace stagger::phase {
namespace {

// The calls of one inference of an app, over and over, with time going on.
class Loop {
 public:
  explicit Loop(int launches) {
    Add({.kind = CallKind::kCopyIn, .bytes = 1'000'000}, 30);
    for (int i = 0; i < launches; ++i)
      Add({.kind = CallKind::kLaunch, .hash = static_cast<std::uint64_t>(100 + i % 40 + i / 40)},
          5);
    Add({.kind = CallKind::kCopyOut, .bytes = 4000}, 8000);
    Add({.kind = CallKind::kLaunch, .hash = 7}, 5);
    Add({.kind = CallKind::kBlockingSync}, 200);
  }

  // One inference; all of its calls are fed.
  void Run(Detector* detector, bool only_known = true) {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      Call call = calls_[i];
      if (!only_known) call.hash += inference_ * 1000;
      call.at = now_;
      benchmark::DoNotOptimize(detector->Before(call));
      now_ = now_ + took_[i];
      if (call.kind == CallKind::kCopyOut || call.kind == CallKind::kBlockingSync)
        detector->Returned(call, now_);
    }
    ++inference_;
  }

  std::size_t calls() const { return calls_.size(); }
  TimePoint now() const { return now_; }

 private:
  void Add(const Call& call, int us) {
    calls_.push_back(call);
    took_.push_back(std::chrono::microseconds{us});
  }
  std::vector<Call> calls_;
  std::vector<Duration> took_;
  TimePoint now_{std::chrono::seconds{1}};
  std::uint64_t inference_ = 0;
};

void Inference(benchmark::State& state, bool known) {
  Detector detector;
  Loop loop(static_cast<int>(state.range(0)));
  for (int i = 0; i < 40; ++i) loop.Run(&detector, known);
  for (auto _ : state) loop.Run(&detector, known);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(loop.calls()));
  state.counters["sure"] = detector.state() == State::kSure;
}

// A call that says nothing, from a thread whose app is known.
void Unconcerned(benchmark::State& state, CallKind kind) {
  Detector detector;
  Loop loop(160);
  for (int i = 0; i < 40; ++i) loop.Run(&detector);
  Call call{.kind = kind, .at = loop.now()};
  for (auto _ : state) {
    call.hash += 1;
    call.at = call.at + Duration{100};
    benchmark::DoNotOptimize(detector.Before(call));
  }
}

BENCHMARK_CAPTURE(Inference, known, true)->Arg(20)->Arg(160)->Arg(2000);
BENCHMARK_CAPTURE(Inference, never_alike, false)->Arg(160)->Arg(2000);
BENCHMARK_CAPTURE(Unconcerned, event_record, CallKind::kEventRecord);
BENCHMARK_CAPTURE(Unconcerned, query, CallKind::kQuery);
BENCHMARK_CAPTURE(Unconcerned, memory, CallKind::kMemory);
BENCHMARK_CAPTURE(Unconcerned, copy_in, CallKind::kCopyIn);

}  // namespace
}  // namespace stagger::phase

BENCHMARK_MAIN();
