// How big a demo must be for the machine it runs on. Pure.
#pragma once

#include <optional>

namespace stagger::cli {

struct DemoSize {
  int cameras = 0;
  double fps = 0;  // of each
};

// Cameras that together want a little more than one app alone could do as fast as it can: too much
// for apps that get in each other's way, and not for ones that don't. What is given stays.
DemoSize SizeDemo(double alone_fps, int cores, std::optional<int> cameras,
                  std::optional<double> fps);

}  // namespace stagger::cli
