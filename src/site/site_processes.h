// The processes of a site file, ready to be started under control: executors and apps. And what a
// daemon that runs already has to be told of the site.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "launch/installation.h"
#include "launch/scratch_dir.h"
#include "site/site_file.h"
#include "site/site_plan.h"
#include "site/supervisor.h"

namespace stagger::cli {

// The executors, then the apps. `sockets` gets the executors'. Error: names the app and what is
// wrong; nothing has been started.
Result<std::vector<Supervised>> PrepareSite(const Site& site, const SitePlan* plan,
                                            const Installation& installation,
                                            const std::string& socket, const ScratchDir& scratch,
                                            std::vector<std::string>* sockets);
// The apps alone. Those that have no place in the plan are left out, which is said. `sockets`: the
// executors'.
Result<std::vector<Supervised>> PrepareApps(const Site& site, const SitePlan* plan,
                                            const Installation& installation,
                                            const std::string& socket,
                                            const std::vector<std::string>& sockets);

// A daemon that runs already takes the site's policy, if it names one. Error: the daemon has not
// the devices that the site names, or refuses the policy.
Result<void> ApplyPolicy(const Site& site, const std::string& socket);
// Makes the apps clients of the daemon's MPS. Error: the site insists on what is not there.
Result<void> ApplyMps(const Site& site, const std::string& socket, std::vector<Supervised>* apps);

}  // namespace stagger::cli
