// The machine's NVIDIA GPUs, as NVML tells of them: the library that comes with the driver. It is
// opened at run time by name; where it is missing or fails there are simply no GPUs.
// Not thread-safe: one call at a time. Calls may take milliseconds, and seconds on a sick driver:
// never on the daemon's loop once it serves (device/gpu_watch.h).
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace stagger::device {

struct Gpu {
  unsigned number = 0;  // "gpu:0"
  std::string model;    // "Tesla T4"
  std::array<std::uint8_t, 16> uuid{};
  std::uint64_t memory_bytes = 0;
};

struct GpuProcess {
  pid_t pid = 0;
  std::optional<std::uint64_t> memory_bytes;
};

// Which processes may use a GPU, as its administrator set it. Stagger only reads the mode.
enum class ComputeMode : unsigned char { kDefault, kExclusiveProcess, kProhibited };
const char* ToString(ComputeMode mode);  // "default", "exclusive_process", "prohibited"

// What could not be found out is empty.
struct GpuUse {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<double> utilisation;  // 0..1: share of time with a kernel running, as NVML has it
  std::optional<std::vector<GpuProcess>> processes;
  std::optional<ComputeMode> compute_mode;
};

enum class Presence : unsigned char {
  kHere,
  kLost,     // it has fallen off its bus, or the like
  kMissing,  // not listed any more
  kUnknown   // NVML could not say
};

class Nvidia {
 public:
  // Error: one line that says why there are no GPUs.
  static Result<std::unique_ptr<Nvidia>> Open();
  ~Nvidia();
  Nvidia(const Nvidia&) = delete;
  Nvidia& operator=(const Nvidia&) = delete;

  // Found at Open, in NVML's order. One that does not tell its UUID is left out.
  const std::vector<Gpu>& gpus() const { return gpus_; }
  GpuUse UseOf(unsigned number) const;
  // Whether that GPU, by its UUID, is still there under its number.
  Presence PresenceOf(const Gpu& gpu) const;

 private:
  struct Library;
  explicit Nvidia(std::unique_ptr<Library> library);

  std::unique_ptr<Library> library_;
  std::vector<Gpu> gpus_;
};

// "GPU-" and 32 hexadecimal digits with dashes, as NVML writes it; and back.
std::optional<std::array<std::uint8_t, 16>> ParseGpuUuid(const std::string& text);
std::string GpuUuidText(const std::array<std::uint8_t, 16>& uuid);

}  // namespace stagger::device
