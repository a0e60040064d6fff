// A site that runs, and its file has changed: what is to be started and stopped.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "launch/installation.h"
#include "site/applied_plan.h"
#include "site/site_file.h"
#include "site/supervisor.h"

namespace stagger::cli {

struct RunningSite {
  std::string file;
  Site site;  // as it runs
  AppliedPlan* plan = nullptr;
  bool partial = false;
  const Installation* installation = nullptr;
  std::string socket;
  std::vector<std::string> executors;  // sockets
};

// Reads the file again and has the daemon take what is new: policy, places. Apps that are as they
// were are not touched. Error: what cannot be followed, or is wrong; nothing has changed then.
Result<SiteChange> Reload(RunningSite* running);

}  // namespace stagger::cli
