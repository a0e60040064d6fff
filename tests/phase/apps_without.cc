// Apps that have no body, or none whose end can be foretold.
#include <cmath>

#include "frames.h"

namespace stagger::phase {
namespace {

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

std::vector<App> AppsWithout() {
  return {{"random_launches", RandomLaunches, {}},
          {"random_loop", RandomLoop, {}},
          {"copies_only", CopiesOnly, {}}};
}

}  // namespace stagger::phase
