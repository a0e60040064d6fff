#include "apps.h"

#include <ostream>

#include "frames.h"

namespace stagger::phase {

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

void SsdFrame(Host& host, std::uint64_t model) {
  host.BeginFrame();
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

void PrintTo(const App& app, std::ostream* out) { *out << app.name; }

std::vector<App> AppsWithBodies() {
  std::vector<App> all = SteadyApps();
  for (const auto& more : {ChangingApps(), ThreadedApps()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace stagger::phase
