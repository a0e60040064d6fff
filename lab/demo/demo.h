// `stagger demo`: camera apps on this machine, alone, uncontrolled and controlled; how big a demo
// must be, and what it found, as the paper's Table 3 or as JSON. The verb runs on the main thread,
// the rest is pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "console/arguments.h"
#include "lab/legs/leg.h"

namespace stagger::cli {

// Takes the words after the verb and returns the exit code. Main thread, once.
int DemoVerb(const Arguments& arguments);

struct DemoSize {
  int cameras = 0;
  double fps = 0;  // of each
};

// Cameras that together want a little more than one app alone could do as fast as it can: too much
// for apps that get in each other's way, and not for ones that don't. What is given stays.
DemoSize SizeDemo(double alone_fps, int cores, std::optional<int> cameras,
                  std::optional<double> fps);

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
