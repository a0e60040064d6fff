// What a demo found, as the paper's Table 3 or as JSON. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lab/legs/leg.h"

namespace stagger::cli {

struct DemoReport {
  std::vector<Leg> legs;
  nlohmann::ordered_json device;
  int cameras = 0;
  double fps = 0;
  double seconds = 0;
  double work_ms = 0;
  double alone_fps = 0;   // one app alone, as fast as it can
  std::string disturbed;  // what else kept the machine busy; empty if nothing did
};

std::string ToText(const DemoReport& report);
nlohmann::ordered_json ToJson(const DemoReport& report);

}  // namespace stagger::cli
