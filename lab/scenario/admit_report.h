// Whether the streams of a scenario fit their devices, and if not why, in words and as JSON. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lab/sim/scenario.h"

namespace stagger::cli {

struct DeviceVerdict {
  std::string device;
  bool admitted = false;
  double utilisation_ratio = 0;               // bodies' share of the device
  std::optional<std::string> binding_stream;  // whose deadline can be missed
  std::optional<double> interval_ms;          // how long after the beginning of a busy time
  struct Fit {
    std::string stream;
    double fps;
  };
  std::optional<Fit> nearest_fit;  // the change of one stream's rate that costs least
  std::string reason;              // a sentence
};

// A body costs body_ms + handoff_ms, exactly as written, and is due deadline_ms - pre_ms - post_ms
// after its frame. A stream with `fps: 0` has no deadline; its bodies only stand in the way.
std::vector<DeviceVerdict> JudgeDevices(const sim::Scenario& scenario);

nlohmann::ordered_json ToJson(const std::vector<DeviceVerdict>& verdicts);
std::string ToText(const std::vector<DeviceVerdict>& verdicts);

}  // namespace stagger::cli
