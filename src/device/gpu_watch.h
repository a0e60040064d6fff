// What the GPUs are used for: asked of NVML on a thread of its own, never on the caller's, only
// while figures are asked for, and at most once a second.
#pragma once

#include <map>
#include <memory>

#include "base/time.h"
#include "device/nvidia.h"

namespace stagger::device {

class GpuWatch {
 public:
  static constexpr Duration kMaxAge = std::chrono::seconds{1};
  // Past this, figures are no longer given out: the driver hangs, or nobody has looked for long.
  static constexpr Duration kStale = std::chrono::seconds{3};
  // The first look after a pause waits this long for figures. Later ones never wait.
  static constexpr Duration kFirstLook = std::chrono::milliseconds{20};

  explicit GpuWatch(std::unique_ptr<Nvidia> nvidia);
  // Does not wait for a hung driver: the thread is left behind with what it uses.
  ~GpuWatch();
  GpuWatch(const GpuWatch&) = delete;
  GpuWatch& operator=(const GpuWatch&) = delete;

  // By number. Empty while there are no figures of the last kStale.
  std::map<unsigned, GpuUse> Latest();

 private:
  struct Shared;
  static void Run(const std::shared_ptr<Shared>& shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace stagger::device
