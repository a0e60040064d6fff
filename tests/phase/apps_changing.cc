// Apps whose inferences differ: by data, by model, by batch, by what the host does.
#include "frames.h"

namespace stagger::phase {
namespace {

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

}  // namespace

std::vector<App> ChangingApps() {
  return {{"alternating", Alternating, {}},
          {"alternating_alike", AlternatingAlike, {}},
          {"batch_change", BatchChange, {.changes = {60}}},
          {"warm_up", WarmUp, {}},
          {"data_dependent_tail", DataDependentTail, {}},
          {"early_exit", EarlyExit, {}},
          {"dynamic_batch", DynamicBatch, {}},
          {"busy_host", BusyHost, {}}};
}

}  // namespace stagger::phase
