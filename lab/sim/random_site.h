// Sites made up from a seed, for tests and benches of placement: the same on every machine. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "placement/model.h"

namespace stagger::sim {

enum class SiteMix : std::uint8_t {
  kCameras,  // 27 kinds: 9 models x 3 rates, 2 to 15 fps, 1.1 to 4 GB, on devices of 16 GB
  kTight,    // periods 33 to 1000 ms, bodies to 60 ms, deadlines of half a period and more
  kSmall,    // 16 kinds: bodies of 1.5 to 9 ms, 1 to 10 fps, 0.45 GB, on devices of 80 GB
  kOwn,      // as kCameras, but no two streams are alike
  kDevices   // as kCameras, on devices of three speeds and sizes
};

struct NamedMix {
  SiteMix mix;
  std::string_view name;
};
std::span<const NamedMix> SiteMixes();

// Enough devices for any way of placing that makes sense. Every stream fits on an empty one, or can
// be split to fit.
placement::PlacementProblem RandomSite(SiteMix mix, std::size_t streams, std::uint64_t seed);

}  // namespace stagger::sim
