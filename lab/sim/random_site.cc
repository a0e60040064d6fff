#include "lab/sim/random_site.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "lab/sim/random.h"

namespace stagger::sim {
namespace {

using placement::PlanDevice;
using placement::StreamNeed;

constexpr std::array kMixes{NamedMix{SiteMix::kCameras, "cameras"},
                            NamedMix{SiteMix::kTight, "tight"}, NamedMix{SiteMix::kSmall, "small"},
                            NamedMix{SiteMix::kOwn, "own"}, NamedMix{SiteMix::kDevices, "devices"}};

double Between(Random& random, double low, double high) {
  return low + (high - low) * random.Uniform();
}

// As a person would write it down: to a tenth of a millisecond.
Duration Tenths(double ms) { return FromMs(std::round(std::max(ms, 0.1) * 10) / 10); }

double OneOf(Random& random, std::initializer_list<double> values) {
  return values.begin()[random.Next() % values.size()];
}

StreamNeed Camera(std::size_t model, double fps) {
  StreamNeed need;
  // From a small detector to one of the paper's size.
  const double body = 4 * std::pow(11.25, static_cast<double>(model) / 8);
  need.body = Tenths(body);
  need.pre = Tenths(1 + body * 0.1);
  need.post = Tenths(2 + body * 0.45);
  need.memory_gb = std::round((1.1 + static_cast<double>(model) * 0.36) * 100) / 100;
  need.fps = fps;
  return need;
}

StreamNeed Tight(Random& random) {
  StreamNeed need;
  need.fps = OneOf(random, {1, 2, 4, 5, 8, 10, 15, 25, 30});
  const double period = 1000 / need.fps;
  const double body = std::min(Between(random, 3, 60), period * 0.55);
  need.body = Tenths(body);
  need.pre = Tenths(Between(random, 0, period * 0.05));
  need.post = Tenths(Between(random, 0, period * 0.12));
  const double cycle = ToMs(need.pre + need.body + need.post);
  need.deadline = Tenths(std::max(cycle, period * OneOf(random, {0.5, 0.75, 1})));
  need.memory_gb = std::round(Between(random, 0.8, 3) * 10) / 10;
  return need;
}

StreamNeed Small(std::size_t kind) {
  StreamNeed need;
  need.body = Tenths(1.5 + 2.5 * static_cast<double>(kind % 4));
  need.fps = std::array{1.0, 2.0, 5.0, 10.0}[kind / 4 % 4];
  need.pre = Tenths(1);
  need.post = Tenths(3);
  need.memory_gb = 0.45;
  return need;
}

StreamNeed Own(Random& random) {
  const double low = OneOf(random, {2, 5, 10});
  StreamNeed need = Camera(random.Next() % 9, std::round(low * Between(random, 0.8, 1.5)));
  const auto vary = [&](Duration time) { return Tenths(ToMs(time) * Between(random, 0.8, 1.2)); };
  need.pre = vary(need.pre);
  need.body = vary(need.body);
  need.post = vary(need.post);
  need.memory_gb = std::round(need.memory_gb * Between(random, 0.9, 1.1) * 100) / 100;
  return need;
}

std::vector<StreamNeed> KindsOf(SiteMix mix, Random& random) {
  std::vector<StreamNeed> kinds;
  switch (mix) {
    case SiteMix::kCameras:
    case SiteMix::kDevices:
      for (std::size_t model = 0; model < 9; ++model) {
        for (const double low : {2.0, 5.0, 10.0}) {
          kinds.push_back(Camera(model, std::round(low * Between(random, 0.8, 1.5))));
        }
      }
      break;
    case SiteMix::kTight:
      for (int i = 0; i < 27; ++i) kinds.push_back(Tight(random));
      break;
    case SiteMix::kSmall:
      for (std::size_t i = 0; i < 16; ++i) kinds.push_back(Small(i));
      break;
    case SiteMix::kOwn:
      break;
  }
  return kinds;
}

std::vector<PlanDevice> ModelsOf(SiteMix mix) {
  if (mix == SiteMix::kSmall) return {{"big", 1, 80}};
  if (mix == SiteMix::kDevices) return {{"a", 1, 16}, {"b", 2, 24}, {"c", 4.5, 80}};
  return {{"t4", 1, 16}};
}

}  // namespace

std::span<const NamedMix> SiteMixes() { return kMixes; }

placement::PlacementProblem RandomSite(SiteMix mix, std::size_t streams, std::uint64_t seed) {
  Random random(seed * 2654435761U + static_cast<std::uint64_t>(mix));
  const std::vector<StreamNeed> kinds = KindsOf(mix, random);
  placement::PlacementProblem site;
  double work = 0;
  double memory = 0;
  int parts = 1;
  for (std::size_t i = 0; i < streams; ++i) {
    StreamNeed need = kinds.empty() ? Own(random) : kinds[random.Next() % kinds.size()];
    need.name = "s" + std::to_string(i);
    need.app = need.name;
    work += ToMs(need.body) * need.fps / 1000;
    parts = std::max(parts, placement::PartsOn(need, 1));
    memory += need.memory_gb * placement::PartsOn(need, 1);
    site.streams.push_back(std::move(need));
  }
  const std::vector<PlanDevice> models = ModelsOf(mix);
  const double share = static_cast<double>(models.size());
  for (const PlanDevice& model : models) {
    // Any one type would do for all; where there are several, each could serve a good part.
    const double need = 3 * work / model.speed + 1.5 * memory / model.memory_gb;
    const auto count = static_cast<std::size_t>(need / share) + static_cast<std::size_t>(parts) + 4;
    for (std::size_t i = 0; i < count; ++i) {
      site.devices.push_back(model);
      site.devices.back().name += "-" + std::to_string(i + 1);
    }
  }
  return site;
}

}  // namespace stagger::sim
