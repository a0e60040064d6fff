// A site's plan, applied: made before anything starts, given to the daemon, and read back for each
// app as it starts, since the daemon may have changed it meanwhile.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "cli/app_environment.h"
#include "cli/plan_site.h"
#include "cli/site_file.h"
#include "core/placement/planner.h"

namespace stagger::cli {

// Where a stream runs, as the daemon says.
struct Place {
  std::vector<std::string> devices;    // by name; empty: it has none
  std::vector<std::string> executors;  // sockets
  std::vector<std::string> gpus;       // UUIDs
  std::string reason;
};

// Whether a site's devices say what they are, so that a plan can be applied.
bool HasPlan(const Site& site);

// One that the daemon keeps.
class SitePlan {
 public:
  // Makes it, looking for `seconds` at most. Error: the site cannot be planned, or applied as it is
  // (several lines), or does not fit and `partial` is not set: what to lower, and by how much.
  static Result<SitePlan> Make(const Site& site, bool partial, double seconds);

  // Whether the stream has a place; where not, `reason` says why.
  bool Has(const std::string& stream, std::string* reason) const;

  // Gives it to the daemon; `sockets` are the executors', by device. Later calls give it again.
  Result<void> Apply(const std::string& daemon, const std::map<std::string, std::string>& sockets);
  // A daemon that came back has forgotten all: gives it the plan again. True: it has now.
  bool ApplyAgainIfForgotten();

 private:
  SitePlan() = default;

  std::vector<SiteDevice> devices_;
  core::PlacementProblem problem_;
  core::MadePlan made_;
  std::map<std::string, double> weights_;
  std::map<std::string, std::string> why_not_;
  bool restarts_ = false;  // apps whose place changes are started again
  std::string daemon_;
  std::map<std::string, std::string> sockets_;
  UniqueFd line_;  // to the daemon that has the plan: its end is that daemon's
};

// Why an app cannot be on as many devices at once as it must; empty: it can.
std::string WhyNotSplit(const StreamSettings& stream, std::size_t parts, bool executor);

// Error: the daemon does not answer, or knows of no such stream.
Result<Place> AskPlace(const std::string& daemon, const std::string& stream, Duration timeout);

// Of these streams, by name; those that have none in the plan are left out, and all are where the
// daemon does not answer.
std::map<std::string, Place> AskPlaces(const std::string& daemon,
                                       const std::vector<std::string>& streams, Duration timeout);

// Asks for a place for one more stream, for as long as this process lives. `need`: fields as the
// daemon's "place" takes them.
Result<Place> AskForPlace(const std::string& daemon, const nlohmann::json& need);

// The stream will not come back: its place is free.
void GiveUpPlace(const std::string& daemon, const std::string& stream);

// What an app must have in its environment to be there.
Environment PlaceEnvironment(const Place& place);

}  // namespace stagger::cli
