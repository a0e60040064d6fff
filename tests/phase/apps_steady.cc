// Apps whose inferences are all alike.
#include "frames.h"

namespace stagger::phase {
namespace {

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

}  // namespace

std::vector<App> SteadyApps() {
  return {{"ssd", Ssd, {}},
          {"ssd_back_to_back", SsdBackToBack, {}},
          {"tiny_kernels", TinyKernels, {}},
          {"one_graph", OneGraph, {}},
          {"fork_join", ForkJoin, {}},
          {"default_stream", DefaultStream, {}},
          {"no_sync", NoSync, {}},
          {"pipelined", Pipelined, {}},
          {"polling", Polling, {}},
          {"small_net", SmallNet, {}},
          {"no_copies", NoCopies, {}},
          {"training", Training, {}},
          {"caching_allocator", CachingAllocator, {}},
          {"prefetch", Prefetch, {}},
          {"copies_within", CopiesWithin, {}}};
}

}  // namespace stagger::phase
