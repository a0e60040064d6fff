// Which rates streams get when together they ask for more than a device can do: the elastic task
// model (Buttazzo, Lipari, Abeni 1998). Each stream is a spring: with f the rate it asks for, C the
// time one of its bodies keeps the device and U = f C, all are pressed together until they fit,
//   U_i' = U_i - (sum U - capacity) E_i / sum E,   never under its minimum,
// with elasticity E_i = U_i / weight_i: of what it asks for, a stream of weight 2 gives up half the
// share that one of weight 1 does, however heavy its bodies are. Pure.
#pragma once

#include <span>
#include <vector>

namespace stagger::core {

struct RateRequest {
  double fps = 0;      // asked for; > 0
  double min_fps = 0;  // never under it; over `fps` it means `fps`
  double weight = 1;   // > 0
  double body_s = 0;   // C; > 0
};

// No stream is switched off, even where it names no minimum: this share of its rate is left to it.
inline constexpr double kLeastShare = 0.05;

// Rates in the order of `requests`: as asked where that fits. Where not even the minima fit, those.
// `capacity`: bodies' seconds a second, i.e. how many bodies run at once, less what shall stay
// free.
std::vector<double> ElasticRates(std::span<const RateRequest> requests, double capacity);

}  // namespace stagger::core
