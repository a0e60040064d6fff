// One leg as it ran once, and what a leg is measured with: shared by demo and benches.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "lab/legs/leg.h"
#include "lab/legs/machine.h"
#include "launch/installation.h"
#include "launch/keeper.h"
#include "launch/stop_signal.h"

namespace stagger::cli {

// How late the virtual GPU's completions reached the apps.
struct DeviceLateness {
  Duration p99{};
  double late_ratio = 0;  // of the completions, more than 1 ms late
  bool disturbed() const;
};

struct LegRun {
  Leg leg;
  std::optional<Leg> tight;  // the tight camera by itself; `leg` counts it too
  Disturbance disturbance;
  std::optional<DeviceLateness> lateness;  // of a virtual GPU
  std::optional<Leg> simulated;            // the same leg in the simulator
  Duration warmup{};                       // before anything counted; 0: not stated
  std::optional<std::int64_t> expired;     // leases that ended while it counted

  // Whether something else than the leg decided what was measured.
  bool disturbed() const;
  // "others used 12 %, 0 % stolen"; empty when not disturbed.
  std::string WhyDisturbed() const;
};

// "all", or "a,b" as names out of `known`, in `known`'s order and each once; the error names what
// is unknown.
Result<std::vector<std::string>> ChooseLegs(const std::string& list,
                                            const std::vector<std::string>& known);

// By leg, one entry per repeat: entries of the same index were measured side by side.
using LegRuns = std::map<std::string, std::vector<LegRun>>;

struct Progress {
  std::string leg;
  double elapsed = 0;  // seconds since the leg's start, of `seconds`
  double seconds = 0;
  std::size_t frames = 0;  // results so far, all cameras; 0 where nobody tells
};

struct LegTools {
  const Installation& installation;
  Keeper& keeper;
  StopSignal& stop;
  // Called a few times a second while the cameras run; may be empty.
  std::function<void(const Progress&)> progress;
};

}  // namespace stagger::cli
