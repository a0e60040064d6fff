// What machine this is, and how busy others keep it while we measure. Read from /proc; what cannot
// be read is left out.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace stagger::cli {

// Cores we may run on.
int Cores();
// {"name","cores","model"}
nlohmann::ordered_json DescribeCpu();

// CPU time of the whole machine since it started, from /proc/stat.
struct MachineTime {
  Duration busy{};    // by anybody, this machine's kernel included
  Duration stolen{};  // wanted, but the hypervisor gave it to others
  Duration total{};
};
std::optional<MachineTime> ParseMachineTime(const std::string& proc_stat, long ticks_per_second);
std::optional<MachineTime> ReadMachineTime();

struct Disturbance {
  double foreign_ratio = 0;  // of the machine's capacity, used by processes that aren't ours
  double stolen_ratio = 0;
  bool disturbed() const;
};
// `ours`: CPU time our processes took between the two readings.
Disturbance DisturbanceBetween(const MachineTime& before, const MachineTime& after, Duration ours);

// CPU time of this process and of its children that were reaped.
Duration OwnCpuTime();

// What disturbed the machine since this was made. `ours` tells our CPU time so far; by default
// children count as ours once they were reaped.
class DisturbanceWatch {
 public:
  explicit DisturbanceWatch(std::function<Duration()> ours = OwnCpuTime)
      : ours_(std::move(ours)), before_(ReadMachineTime()), own_before_(ours_()) {}
  Disturbance SoFar() const;

 private:
  std::function<Duration()> ours_;
  std::optional<MachineTime> before_;
  Duration own_before_;
};

}  // namespace stagger::cli
