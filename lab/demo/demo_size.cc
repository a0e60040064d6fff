#include "lab/demo/demo_size.h"

#include <algorithm>
#include <cmath>

namespace stagger::cli {
namespace {

constexpr double kContention = 1.05;  // docs/measurements/cpu.md
constexpr int kCamerasPerCore = 3;
constexpr int kFewest = 4;
constexpr int kMost = 16;

}  // namespace

DemoSize SizeDemo(double alone_fps, int cores, std::optional<int> cameras,
                  std::optional<double> fps) {
  const double total = alone_fps * kContention;
  DemoSize size;
  if (cameras) {
    size.cameras = *cameras;
  } else if (fps) {
    size.cameras =
        static_cast<int>(std::clamp(std::round(total / *fps), double{kFewest}, double{kMost}));
  } else {
    size.cameras = std::clamp(kCamerasPerCore * cores, kFewest, kMost);
  }
  if (fps) {
    size.fps = *fps;
  } else {
    const double each = total / size.cameras;
    // Whole rates read best; slow machines need a finer step.
    size.fps = each >= 2 ? std::round(each) : std::max(0.1, std::round(each * 10) / 10);
  }
  return size;
}

}  // namespace stagger::cli
