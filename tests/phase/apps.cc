#include "apps.h"

#include <cmath>
#include <ostream>

namespace stagger::phase {
namespace {

constexpr int kFrames = 120;
constexpr std::uint64_t kImage = 300 * 300 * 3 * 4;

// Launches of a network: as real ones, blocks of a few kernels that come again and again.
void Network(Host& host, std::uint64_t model, int launches, double total_us) {
  for (int i = 0; i < launches; ++i) {
    const std::uint64_t layer = i < 8 ? i : 8 + i % 6 + i / 48 * 10;
    host.Launch(model * 1000 + layer, total_us / launches);
  }
}

void Body(Host& host, std::uint64_t model, int launches, double total_us) {
  host.BodyBegins();
  Network(host, model, launches, total_us);
  host.BodyEnded();
}

template <typename OneFrame>
Trace Frames(std::uint64_t seed, OneFrame&& one, double fps = 0, int frames = kFrames,
             double preempted = 0.0002) {
  Trace trace;
  Host host(&trace, seed);
  host.preempted = preempted;
  const TimePoint start = host.now();
  for (int i = 0; i < frames; ++i) {
    if (fps > 0) host.Until(start + FromMs(1000.0 / fps * i));
    one(host, i);
  }
  SortByEntry(&trace);
  return trace;
}

Trace Ssd(std::uint64_t seed) {
  return Frames(
      seed, [](Host& host, int) { SsdFrame(host, 1); }, 4);
}

Trace SsdBackToBack(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) { SsdFrame(host, 1); });
}

Trace TinyKernels(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.BeginFrame();
    host.Cpu(1000);
    host.CopyIn(kImage);
    host.BodyBegins();
    for (int i = 0; i < 2000; ++i) host.Launch(5, 4);
    host.BodyEnded();
    host.CopyOut(4000);
    host.Sync();
  });
}

Trace OneGraph(std::uint64_t seed) {
  return Frames(
      seed,
      [](Host& host, int) {
        host.BeginFrame();
        host.CopyIn(kImage);
        host.BodyBegins();
        host.Graph(9, 12000);
        host.BodyEnded();
        host.CopyOut(4000);
        host.Sync();
        host.Cpu(2000);
      },
      30);
}

Trace ForkJoin(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.BeginFrame();
    host.CopyIn(kImage);
    host.BodyBegins();
    Network(host, 1, 20, 3000);
    host.Record(0);
    for (int branch = 1; branch <= 4; ++branch) {
      host.Join(branch, 0);
      for (int i = 0; i < 15; ++i) host.Launch(2000 + branch * 20 + i, 200 + 50 * branch, branch);
      host.Record(branch);
    }
    for (int branch = 1; branch <= 4; ++branch) host.Join(0, branch);
    host.BodyEnded();
    host.CopyOut(4000);
    host.Sync();
    host.Cpu(3000);
  });
}

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

Trace DefaultStream(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.BeginFrame();
    host.Cpu(4000);
    host.CopyIn(kImage, true);
    Body(host, 1, 60, 18000);
    host.CopyOut(8000, true);
    host.Cpu(2000);
  });
}

// Launches only, a sync every 16 frames; a camera paces it.
Trace NoSync(std::uint64_t seed) {
  return Frames(
      seed,
      [](Host& host, int i) {
        host.BeginFrame();
        Body(host, 1, 70, 9000);
        if (i % 16 == 15) host.Sync();
      },
      60);
}

// The same with copies in and out, as fast as the device goes; never a sync.
Trace Pipelined(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int i) {
    host.BeginFrame();
    host.Cpu(9000);
    host.CopyIn(kImage);
    Body(host, 1, 70, 8000);
    host.CopyOut(8000);
    if (i % 32 == 31) host.Sync();
  });
}

Trace Polling(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.BeginFrame();
    host.CopyIn(kImage);
    Body(host, 1, 70, 9000);
    host.Record(0);
    host.Poll(77);
    host.Cpu(1000);
    host.CopyOut(8000, true);
  });
}

Trace Alternating(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int i) {
    host.BeginFrame();
    host.CopyIn(kImage);
    if (i % 2 == 0) {
      Body(host, 1, 120, 30000);
    } else {
      Body(host, 2, 40, 4000);
    }
    host.CopyOut(8000);
    host.Sync();
    host.Cpu(2000);
  });
}

// Two models that begin with the same launches.
Trace AlternatingAlike(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.BeginFrame();
    host.CopyIn(kImage);
    host.BodyBegins();
    Network(host, 1, 30, 3000);
    if (host.random.Uniform() < 0.5) {
      Network(host, 2, 80, 20000);
    } else {
      Network(host, 3, 50, 9000);
    }
    host.BodyEnded();
    host.Launch(90001, 20);
    host.CopyOut(8000);
    host.Sync();
    host.Cpu(2000);
  });
}

Trace SmallNet(std::uint64_t seed) {
  return Frames(
      seed,
      [](Host& host, int) {
        host.BeginFrame();
        host.Cpu(1500);
        host.CopyIn(96 * 96 * 3);
        Body(host, 1, 25, 1500);
        host.CopyOut(40);
        host.Sync();
      },
      60);
}

Trace BatchChange(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int i) {
    const bool large = i >= 60;
    host.BeginFrame();
    host.CopyIn(large ? 4 * kImage : kImage);
    Body(host, large ? 11 : 1, 80, large ? 45000 : 14000);
    host.CopyOut(large ? 32000 : 8000);
    host.Sync();
    host.Cpu(2000);
  });
}

// The model comes in, then three inferences of seconds: each kernel is tried out, some are
// compiled.
Trace WarmUp(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int i) {
    const bool settled = i >= 3;
    if (i == 0) {
      for (int weights = 0; weights < 40; ++weights) host.CopyIn(4'000'000, true);
    }
    host.BeginFrame(settled);
    host.CopyIn(kImage);
    if (i == 0) {
      for (int kernel = 0; kernel < 80; ++kernel) {
        host.Allocate();
        for (int trial = 0; trial < 5; ++trial) {
          host.Launch(50000 + kernel, 400);
          host.Sync();
        }
      }
    }
    host.BodyBegins();
    for (int kernel = 0; kernel < 80; ++kernel) {
      if (!settled) host.Cpu(12000 / (i + 1));
      host.Launch((i == 1 ? 30000 : 1000) + kernel, 150);
    }
    host.BodyEnded();
    host.CopyOut(8000);
    host.Sync();
    host.Cpu(1500);
  });
}

// As many small kernels after the body as the image has objects, some before the host first waits.
Trace DataDependentTail(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.BeginFrame();
    host.Cpu(2000);
    host.CopyIn(kImage);
    host.CopyIn(24);
    Body(host, 1, 110, 25000);
    const int objects = 1 + static_cast<int>(host.random.Uniform() * 6);
    for (int i = 0; i < objects; ++i) host.Launch(70001, 300);
    host.CopyOut(64, true);
    for (int i = 0; i < objects; ++i) {
      if (host.random.Uniform() < 0.3) host.Allocate();
      host.CopyIn(400);
      host.Launch(70002, 30);
      host.Launch(70001, 300);
      host.CopyOut(400, true);
      host.Cpu(700);
    }
  });
}

// No copy in, no pause: frames are on the device already.
Trace NoCopies(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.BeginFrame();
    Body(host, 1, 80, 12000);
    for (int i = 0; i < 3; ++i) {
      host.Launch(70002, 30);
      host.Sync();
    }
    host.Cpu(300);
  });
}

Trace Training(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.BeginFrame();
    host.CopyIn(8 * kImage);
    host.BodyBegins();
    Network(host, 1, 120, 20000);
    Network(host, 2, 240, 40000);
    for (int i = 0; i < 30; ++i) host.Launch(80000, 20);
    host.BodyEnded();
    host.CopyOut(4, true);
    host.Cpu(500);
  });
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

// Allocators ask for old events and look for memory in the middle of the network.
Trace CachingAllocator(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.BeginFrame();
    host.CopyIn(kImage);
    host.BodyBegins();
    for (int i = 0; i < 90; ++i) {
      host.Launch(1000 + i % 30, 150);
      if (host.random.Uniform() < 0.1) host.Allocate();
      for (std::uint64_t event = 1; event <= 4; ++event)
        if (host.random.Uniform() < 0.1) host.Query(event);
    }
    host.BodyEnded();
    host.CopyOut(8000);
    host.Sync();
    host.Cpu(1000);
  });
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

// The next frame is copied in while the device works on this one.
Trace Prefetch(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int i) {
    if (i == 0) host.CopyIn(kImage);
    host.BeginFrame();
    Body(host, 1, 100, 20000);
    host.CopyIn(kImage);
    host.Sync();
    host.CopyOut(8000, true);
    host.Cpu(1000);
  });
}

// Small things are made on the host in the middle of the network, and waited for.
Trace CopiesWithin(std::uint64_t seed) {
  return Frames(seed, [](Host& host, int) {
    host.BeginFrame();
    host.CopyIn(kImage);
    host.BodyBegins();
    Network(host, 1, 60, 12000);
    for (int i = 0; i < 5; ++i) host.CopyIn(800, true);
    Network(host, 2, 60, 12000);
    host.BodyEnded();
    host.CopyOut(8000);
    host.Sync();
    host.Cpu(1000);
  });
}

// A camera's images, compressed: of another size each time. A third of them shows nothing that
// moves.
Trace EarlyExit(std::uint64_t seed) {
  return Frames(
      seed,
      [](Host& host, int) {
        const bool moves = host.random.Uniform() > 0.3;
        host.CopyIn(20'000 + host.random.Next() % 200'000);
        host.Launch(300, 40);
        host.Launch(301, 60);
        host.CopyOut(4, true);
        if (!moves) return;
        host.BeginFrame();
        Body(host, 1, 100, 20000);
        host.CopyOut(8000);
        host.Sync();
      },
      25, 2 * kFrames);
}

// As many frames at once as have come.
Trace DynamicBatch(std::uint64_t seed) {
  return Frames(
      seed,
      [](Host& host, int) {
        const std::uint64_t batch = std::uint64_t{1} << host.random.Next() % 4;
        host.BeginFrame();
        host.CopyIn(batch * kImage);
        host.BodyBegins();
        for (std::uint64_t i = 0; i < 90; ++i)
          host.Launch(batch * 1000 + i % 30, 60.0 * static_cast<double>(batch));
        host.BodyEnded();
        host.CopyOut(batch * 8000);
        host.Sync();
        host.Cpu(1500);
      },
      0, 3 * kFrames);
}

// A busy host, and a camera that is off for seconds now and then.
Trace BusyHost(std::uint64_t seed) {
  return Frames(
      seed,
      [](Host& host, int i) {
        if (i % 25 == 24) host.Cpu(3'000'000);
        SsdFrame(host, 1);
      },
      4, kFrames, 0.005);
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

Trace RandomLaunches(std::uint64_t seed) {
  return Frames(
      seed,
      [](Host& host, int) {
        const int launches = 1 + static_cast<int>(-12 * std::log(1 - host.random.Uniform()));
        for (int i = 0; i < launches; ++i)
          host.Launch(static_cast<std::uint64_t>(host.random.Uniform() * 30),
                      20 + 980 * host.random.Uniform());
        const double what = host.random.Uniform();
        if (what < 0.4) host.Sync();
        if (what > 0.3 && what < 0.6) host.CopyIn(1000 + host.random.Next() % 1'000'000);
        if (what > 0.5 && what < 0.9) host.CopyOut(1000 + host.random.Next() % 100'000);
        if (what > 0.9) host.Cpu(4000 * host.random.Uniform());
      },
      0, 3000);
}

// One kernel, launched as often as the data say.
Trace RandomLoop(std::uint64_t seed) {
  return Frames(
      seed,
      [](Host& host, int) {
        host.BeginFrame();
        host.CopyIn(kImage);
        const int launches = 1 + static_cast<int>(host.random.Uniform() * 150);
        host.BodyBegins();
        for (int i = 0; i < launches; ++i) host.Launch(3, 200);
        host.BodyEnded();
        host.CopyOut(4000, true);
        host.Cpu(500);
      },
      0, 400);
}

Trace CopiesOnly(std::uint64_t seed) {
  return Frames(
      seed,
      [](Host& host, int) {
        host.CopyIn(kImage, true);
        host.Memset(4000);
        host.CopyOut(kImage, true);
        host.Cpu(500);
      },
      0, 1000);
}

}  // namespace

void PrintTo(const App& app, std::ostream* out) { *out << app.name; }

void SsdFrame(Host& host, std::uint64_t model, bool settled) {
  host.BeginFrame(settled);
  host.Cpu(8000);
  host.CopyIn(kImage);
  host.CopyIn(64);
  Body(host, model, 160, 45000);
  const int rounds = 4 + static_cast<int>(host.random.Uniform() * 5);
  for (int i = 0; i < rounds; ++i) {
    host.Launch(model * 1000 + 901, 400);
    host.Launch(model * 1000 + 902, 200);
    host.CopyOut(2000);
    host.Sync();
    host.Cpu(2500);
  }
  host.CopyOut(30000, true);
}

std::vector<App> AppsWithBodies() {
  return {{"ssd", Ssd, {}},
          {"ssd_back_to_back", SsdBackToBack, {}},
          {"tiny_kernels", TinyKernels, {}},
          {"one_graph", OneGraph, {}},
          {"fork_join", ForkJoin, {}},
          {"per_thread_streams", PerThreadStreams, {}},
          {"thread_per_frame", ThreadPerFrame, {}},
          {"default_stream", DefaultStream, {}},
          {"no_sync", NoSync, {}},
          {"pipelined", Pipelined, {}},
          {"polling", Polling, {}},
          {"alternating", Alternating, {}},
          {"alternating_alike", AlternatingAlike, {}},
          {"small_net", SmallNet, {}},
          {"batch_change", BatchChange, {.changes = {60}}},
          {"warm_up", WarmUp, {}},
          {"data_dependent_tail", DataDependentTail, {}},
          {"no_copies", NoCopies, {}},
          {"training", Training, {}},
          {"labelled", Labelled, {}},
          {"caching_allocator", CachingAllocator, {}},
          {"other_thread_waits", OtherThreadWaits, {}},
          {"prefetch", Prefetch, {}},
          {"copies_within", CopiesWithin, {}},
          {"early_exit", EarlyExit, {}},
          {"dynamic_batch", DynamicBatch, {}},
          {"busy_host", BusyHost, {}},
          {"two_contexts", TwoContexts, {}},
          {"two_models", TwoModels, {}}};
}

std::vector<App> AppsWithout() {
  return {{"random_launches", RandomLaunches, {}},
          {"random_loop", RandomLoop, {}},
          {"copies_only", CopiesOnly, {}}};
}

}  // namespace stagger::phase
