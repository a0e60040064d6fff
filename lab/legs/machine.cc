#include "lab/legs/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace stagger::cli {
namespace {

// Above this share of the machine, a figure says more about the neighbours than about us.
constexpr double kDisturbed = 0.05;

Duration Of(const timeval& t) {
  return std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec};
}

std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos && colon + 2 < line.size()) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

int Cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

nlohmann::ordered_json DescribeCpu() {
  return {{"name", "cpu:0"}, {"cores", Cores()}, {"model", CpuModel()}};
}

std::optional<MachineTime> ParseMachineTime(const std::string& proc_stat, long ticks_per_second) {
  std::istringstream text(proc_stat);
  std::string label;
  // user nice system idle iowait irq softirq steal (guest time is part of user)
  long long ticks[8] = {};
  text >> label;
  for (long long& value : ticks) text >> value;
  if (!text || label != "cpu" || ticks_per_second <= 0) return std::nullopt;
  const auto time = [&](long long value) {
    return Duration{value * (1'000'000'000 / ticks_per_second)};
  };
  MachineTime result;
  result.busy = time(ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]);
  result.stolen = time(ticks[7]);
  result.total = result.busy + result.stolen + time(ticks[3] + ticks[4]);
  return result;
}

std::optional<MachineTime> ReadMachineTime() {
  std::ifstream file("/proc/stat");
  std::string line;
  std::getline(file, line);
  return ParseMachineTime(line, sysconf(_SC_CLK_TCK));
}

bool Disturbance::disturbed() const {
  return foreign_ratio > kDisturbed || stolen_ratio > kDisturbed;
}

Disturbance DisturbanceBetween(const MachineTime& before, const MachineTime& after, Duration ours) {
  const double total = ToMs(after.total - before.total);
  if (total <= 0) return {};
  Disturbance result;
  result.foreign_ratio = std::max(0.0, ToMs(after.busy - before.busy - ours) / total);
  result.stolen_ratio = ToMs(after.stolen - before.stolen) / total;
  return result;
}

Duration OwnCpuTime() {
  Duration total{};
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    if (getrusage(who, &usage) == 0) total += Of(usage.ru_utime) + Of(usage.ru_stime);
  }
  return total;
}

Disturbance DisturbanceWatch::SoFar() const {
  const std::optional<MachineTime> now = ReadMachineTime();
  if (!before_ || !now) return {};
  return DisturbanceBetween(*before_, *now, ours_() - own_before_);
}

}  // namespace stagger::cli
