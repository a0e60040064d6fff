// A site file: which apps a machine runs, at which rates. Reading it is all or nothing: an unknown
// field, a wrong type or a name used twice is an error with file, line and column.
// Pure but for ReadSite, which reads one file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "launch/app_environment.h"
#include "placement/model.h"

namespace stagger::cli {

// What a stream costs, as written: on a device of speed 1.
struct SiteProfile {
  double pre_ms = 0;
  double body_ms = 0;
  double post_ms = 0;
  double load_ms = 0;  // of its model; 0: not stated
  double memory_gb = 0;
  bool here = false;  // taken on this machine, so that its own devices have speed 1
  friend bool operator==(const SiteProfile&, const SiteProfile&) = default;
};

// One process to run: an app of the file, or one of its copies.
struct SiteApp {
  std::string app;  // its name in the file
  StreamSettings stream;
  std::vector<std::string> command;  // "{n}" replaced by the copy's number; may be empty where
                                     // there is a profile: for plans only
  std::optional<SiteProfile> profile;
  Environment environment;
  bool executor = false;  // its inferences run on the site's cores or GPUs, in executors
  friend bool operator==(const SiteApp&, const SiteApp&) = default;
};

// A device with its speed, for plans.
struct SiteDevice {
  placement::PlanDevice plan;
  std::string on;  // what it is here: "cpu", "cpu:1", "gpu:0"; empty: nothing, it is for plans only
  double share = 1;  // of that core's time

  // Whether an executor runs there: on every core, and on GPUs that say so. Such a GPU is of no
  // kind: it takes apps that use it themselves, too.
  bool has_executor() const { return !on.empty() && plan.kind != placement::DeviceKind::kGpu; }
  friend bool operator==(const SiteDevice&, const SiteDevice&) = default;
};

struct Site {
  std::string folder;                // the file's own, to find programs beside it
  std::string policy;                // empty: the daemon's default
  std::string concurrency;           // a number, or "auto"; empty: the daemon's default
  double demand_limit = 0;           // 0: none
  std::string mps;                   // "off", "auto", "on"; empty: the daemon's default
  std::string devices;               // as staggerd takes it; empty: the daemon's default
  std::vector<SiteDevice> declared;  // those with speed and memory; maybe none
  bool restart_on_move = false;      // an app whose GPU is another now is started again there
  std::vector<std::string> cores;    // CPU cores that are devices of their own: "cpu:1"; maybe none
  std::vector<SiteApp> apps;
};

Result<Site> ReadSite(const std::string& path);
// `path` is for messages and the folder only.
Result<Site> ParseSite(const std::string& text, const std::string& path);

}  // namespace stagger::cli
