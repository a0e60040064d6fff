// The virtual GPUs' server: one thread that takes what processes submit, drives the devices in real
// time (CLOCK_MONOTONIC is model time), tells them what ended, and counts their memory. A
// connection is about one device. A client can hurt nobody but itself: it is dropped when it sends
// nonsense or does not read. Devices can be lost, which ends all connections to them, and be there
// again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "lab/vgpu/lateness.h"
#include "lab/vgpu/model.h"

namespace stagger::vgpu {

struct ServerConfig {
  std::vector<Model> devices{1};  // at most kMostDevices, each with its own processor and memory
  Mode mode = Mode::kMps;
  KernelCost default_cost;  // of a kernel of which neither its image nor the model says anything
  std::string log;          // a file; empty: none
};

struct ServerReport {
  std::uint64_t processes = 0;
  std::uint64_t operations = 0;
  std::uint64_t kernels = 0;
  Lateness lateness;
};

// Serves `listener` (non-blocking, SOCK_SEQPACKET) until `stop_fd` becomes readable or its other
// end closes. Writes a byte to `ready_fd` once it has begun. Error: the log cannot be written, or
// the system refuses a descriptor.
Result<ServerReport> Serve(const ServerConfig& config, UniqueFd listener, int stop_fd,
                           UniqueFd ready_fd);

}  // namespace stagger::vgpu
