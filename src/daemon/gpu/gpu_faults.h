// What GPUs did to the processes that use them: each fault, what it broke, and what caused it where
// that can be told. Under MPS one client's illegal access breaks all clients of the GPU, and new
// ones are refused until they have gone; so `stagger up` must know which are still here.
// A value; loop thread only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace stagger::daemon {

class GpuFaults {
 public:
  static constexpr std::size_t kKept = 8;
  // Reports of one fault come as its clients make their next calls.
  static constexpr Duration kTogether = std::chrono::seconds{2};

  struct Affected {
    ClientId client;
    std::string name;
    pid_t pid = 0;
    std::uint32_t code = 0;  // the driver's; 0: it left before it could say
    bool here = true;        // still attached
  };
  struct Fault {
    std::uint64_t number = 0;  // from 1
    DeviceId device;
    TimePoint at;
    bool shared = false;  // it broke all clients of the GPU, not one process
    bool logged = false;
    std::vector<Affected> affected;
    // The stream that caused it; null if nobody's error says so, or several do.
    const Affected* culprit() const;
  };

  // `mps_runs`: whether processes share GPUs just now.
  explicit GpuFaults(std::function<bool()> mps_runs = [] { return false; })
      : mps_runs_(std::move(mps_runs)) {}

  // The fault that this report belongs to.
  const Fault& Report(Affected affected, DeviceId device, TimePoint now);
  // `used`: the GPUs on which its bodies ran. One that leaves about when a shared fault happens is
  // counted as broken, since its app may have met the fault at a call that is not hooked.
  void Left(Affected affected, const std::vector<DeviceId>& used, TimePoint now);

  const std::deque<Fault>& recent() const { return recent_; }  // oldest first
  const Affected* Of(ClientId client) const;                   // null: nothing broke it
  std::uint64_t CountOn(DeviceId device) const;  // since the start, forgotten ones too
  // Those that were not given out yet: each once.
  std::vector<Fault> TakeUnlogged();

 private:
  struct Departed {
    Affected affected;
    DeviceId device;
    TimePoint at;
  };

  void AddDeparted(Fault* fault, TimePoint now);

  std::function<bool()> mps_runs_;
  std::deque<Fault> recent_;
  std::deque<Departed> departed_;  // of the last kTogether, no more than kKept
  std::uint64_t last_number_ = 0;
  std::map<DeviceId, std::uint64_t> counts_;
};

// "illegal address"; for codes that are not known "error 123".
std::string GpuErrorText(std::uint32_t code);

}  // namespace stagger::daemon
