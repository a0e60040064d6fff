// A virtual GPU of our own: its server is a forked child, which needs no program of its own. Apps
// find the device by their environment. Used on the main thread, while no other thread of ours
// runs. Signals that the caller blocks stay blocked in the server, so Ctrl-C ends the apps first.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "lab/vgpu/server.h"
#include "launch/app_environment.h"
#include "launch/installation.h"
#include "launch/keeper.h"
#include "launch/scratch_dir.h"

namespace stagger::cli {

struct VirtualGpuSpec {
  vgpu::ServerConfig server;
  std::string faults;  // as `stagger vgpu --fault` takes them; empty: none
};

class VirtualGpu {
 public:
  // Returns when apps may come. The error says what the server could not do.
  static Result<VirtualGpu> Start(const Installation& installation, const VirtualGpuSpec& spec,
                                  Keeper& keeper);
  VirtualGpu(VirtualGpu&& other) noexcept;
  VirtualGpu& operator=(VirtualGpu&&) = delete;
  ~VirtualGpu();

  // What a program needs to find this device as its driver's: set on top of ours.
  const Environment& environment() const { return environment_; }

  // Ends the server, after which its log is complete. Processes that still use the device get
  // errors. To be called once; an error when the server had ended before.
  Result<vgpu::ServerReport> Stop();

 private:
  VirtualGpu(ScratchDir scratch) : scratch_(std::move(scratch)) {}

  ScratchDir scratch_;  // its socket
  Environment environment_;
  pid_t server_ = -1;
  UniqueFd stop_;    // the server ends when told here, or when this closes, however we end
  UniqueFd report_;  // where it says how it went
};

// "3 processes, 220 kernels, 700 operations; 120 awaited completions reached their app late by ..."
std::string ToString(const vgpu::ServerReport& report);

}  // namespace stagger::cli
