// A site as a placement problem, and what it would be if something were changed. Pure.
#pragma once

#include <string>
#include <vector>

#include "placement/model.h"
#include "site/site_file.h"

namespace stagger::cli {

struct PlanSite {
  struct App {
    placement::StreamNeed need;  // of each copy; `need.name` is the app's
    std::vector<std::string> copies;
  };
  std::vector<App> apps;
  std::vector<placement::PlanDevice> devices;

  placement::PlacementProblem Problem() const;
};

// Error: a field that a plan needs and that is missing.
Result<PlanSite> PlanSiteOf(const Site& site);

// One change: devices=+2xMODEL, devices=-1, devices=-NAME, APP.fps=5, APP.copies=8,
// APP.deadline_ms=80, APP.body_ms=30, APP.memory_gb=2. MODEL is t4 or a device of the site. All or
// nothing. Error: what of it is wrong, and what was expected.
Result<void> ApplyWhatIf(const std::string& change, PlanSite* site);

}  // namespace stagger::cli
