// What the virtual GPU is: how fast, how large, and how its kernels slow each other down. Plain
// values, and the models that are built in. A model file is read by declared_devices.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "lab/sim/scenario.h"

namespace stagger::vgpu {

enum class Mode : std::uint8_t {
  kMps,       // kernels of all processes share the processor
  kTimeslice  // one process's kernels at a time
};

// What a kernel costs that its image says nothing of.
struct KernelCost {
  Duration cost{};
  double demand = 1;  // how much of the device it fills
  bool post = false;  // light work beside bodies, sim::Phase::kPost
};

struct Model {
  std::string name;             // as the device is called
  std::string label;            // what people call it beside others; empty: nothing
  double speed = 1;             // kernels, and copies within the device, take 1 / speed of the time
  sim::DeviceModel contention;  // sigma, w, g
  std::uint64_t memory_bytes = 0;
  double pcie_gbps = 12;    // GB/s, each direction
  double local_gbps = 250;  // GB/s, copies and fills within the device
  Duration copy_latency = std::chrono::microseconds{8};
  Duration slice = std::chrono::milliseconds{2};  // of Mode::kTimeslice
  std::map<std::string, KernelCost> kernels;      // by name
};

// "t4": fitted to Table 2 of the paper (lab/sim/calibration.h). nullopt for a name that is none.
std::optional<Model> BuiltInModel(std::string_view name);

}  // namespace stagger::vgpu
