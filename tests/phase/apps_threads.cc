// Apps of several threads or contexts, or with labels.
#include "frames.h"

namespace stagger::phase {
namespace {

Trace PerThreadStreams(std::uint64_t seed) {
  Trace trace;
  for (std::uint64_t thread = 1; thread <= 2; ++thread) {
    Host host(&trace, seed, thread);
    for (int i = 0; i < kFrames; ++i) {
      host.Cpu(500 + 4000 * host.random.Uniform());
      host.BeginFrame();
      host.CopyIn(kImage);
      Body(host, 1, 90, 15000);
      host.CopyOut(8000);
      host.Sync();
    }
  }
  SortByEntry(&trace);
  return trace;
}

// A new thread for each inference, as some servers do.
Trace ThreadPerFrame(std::uint64_t seed) {
  Trace trace;
  TimePoint last{};
  for (int i = 0; i < kFrames; ++i) {
    Host host(&trace, seed, static_cast<std::uint64_t>(i + 1));
    host.Until(last);
    host.BeginFrame();
    host.CopyIn(kImage);
    Body(host, 1, 90, 15000);
    host.CopyOut(8000);
    host.Sync();
    host.Cpu(1000);
    last = host.now();
  }
  return trace;
}

// One thread launches, another waits and copies out.
Trace OtherThreadWaits(std::uint64_t seed) {
  Trace trace;
  Host launcher(&trace, seed, 1);
  Host waiter(&trace, seed, 2);
  for (int i = 0; i < kFrames; ++i) {
    launcher.BeginFrame();
    launcher.Cpu(1000);
    launcher.CopyIn(kImage);
    Body(launcher, 1, 90, 14000);
    waiter.Until(launcher.now());
    waiter.WaitFor(launcher.device_done());
    waiter.CopyOut(8000, true);
    launcher.Until(waiter.now());
  }
  SortByEntry(&trace);
  return trace;
}

// One thread, two devices in turn.
Trace TwoContexts(std::uint64_t seed) {
  return Frames(
      seed,
      [](Host& host, int i) {
        host.context = 7 + static_cast<std::uint64_t>(i % 2);
        host.BeginFrame();
        host.CopyIn(kImage);
        Body(host, 1, 90, 14000);
        host.CopyOut(8000);
        host.Sync();
        host.Cpu(1000);
      },
      0, 2 * kFrames);
}

// Two threads with a model each, one of them paced.
Trace TwoModels(std::uint64_t seed) {
  Trace trace;
  for (std::uint64_t thread = 1; thread <= 2; ++thread) {
    Host host(&trace, seed, thread);
    const TimePoint start = host.now();
    for (int i = 0; i < kFrames; ++i) {
      if (thread == 1) host.Until(start + FromMs(40.0 * i));
      host.BeginFrame();
      host.CopyIn(kImage);
      Body(host, thread, thread == 1 ? 30 : 120, thread == 1 ? 3000 : 30000);
      host.CopyOut(8000);
      host.Sync();
      host.Cpu(2000);
    }
  }
  SortByEntry(&trace);
  return trace;
}

// A framework hook labels the inferences; the app has no copies of its own, and a preprocessing
// kernel.
Trace Labelled(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.Launch(4, 50);
    host.Sync();
    host.BeginFrame();
    host.LabelBegin();
    host.CopyIn(kImage);
    Body(host, 1, 90, 16000);
    host.CopyOut(8000);
    host.Sync();
    host.LabelEnd();
    host.Cpu(1000);
  });
}

}  // namespace

std::vector<App> ThreadedApps() {
  return {{"per_thread_streams", PerThreadStreams, {}},
          {"thread_per_frame", ThreadPerFrame, {}},
          {"other_thread_waits", OtherThreadWaits, {}},
          {"two_contexts", TwoContexts, {}},
          {"two_models", TwoModels, {}},
          {"labelled", Labelled, {}}};
}

}  // namespace stagger::phase
