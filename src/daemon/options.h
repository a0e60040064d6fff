// What staggerd was asked to do: command line over configuration file over defaults.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "core/engine.h"
#include "core/events.h"
#include "daemon/clients/admission_service.h"
#include "daemon/gpu/mps_mode.h"
#include "daemon/view/http_address.h"
#include "device/device_choice.h"

namespace stagger::daemon {

struct Options {
  std::string socket;  // empty: the default path
  std::string group;
  core::PolicySpec policy;
  device::DeviceChoice devices;
  std::string record;  // a file for what the engine is told and says; empty: none
  AdmissionMode admission = AdmissionMode::kWarn;
  MpsMode mps = MpsMode::kOff;
  Duration lease_floor = core::EngineConfig{}.lease_floor;
  bool http = true;
  bool http_chosen = false;  // by the user: then a taken port is an error
  HttpAddress http_address{"127.0.0.1", 7878};
  int ready_fd = -1;
};

struct ParsedOptions {
  Options options;
  bool exit = false;  // --help, --version: `text` goes to stdout
  std::string text;
};

// Error: one line, for exit code 2.
Result<ParsedOptions> ParseOptions(int argc, char** argv);

// "HOST:PORT", "PORT", "[::1]:PORT".
Result<HttpAddress> ParseHttpAddress(const std::string& text);

// The configuration file's keys over `options`. Errors name file and line.
Result<void> ApplyConfigText(const std::string& file, const std::string& yaml, Options* options);

}  // namespace stagger::daemon
