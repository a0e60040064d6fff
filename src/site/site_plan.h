// A site's plan, applied: made before anything starts, given to the daemon, and read back for each
// app as it starts, since the daemon may have changed it meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "launch/app_environment.h"
#include "placement/keep_plan.h"
#include "site/plan_site.h"
#include "site/site_file.h"

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
  // Once a second: a daemon that came back has forgotten all, so it gets the plan again, as it was
  // last (true: it has now); else what the daemon changed of it is taken over.
  bool KeepInStep();
  // The stream will not come back.
  void Finished(const std::string& stream) { finished_.insert(stream); }

  // The same plan for a site that has changed in its apps: streams stay where they are as far as
  // the test allows. The daemon has not been told. Error: as Make.
  Result<SitePlan> ChangedTo(const Site& site, bool partial) const;
  // Tells the daemon to have this plan instead of `before`: `gone` leave, `fresh` come. Error: the
  // daemon refuses, and keeps what it had.
  Result<void> ApplyChange(SitePlan* before, const std::vector<std::string>& gone,
                           const std::vector<std::string>& fresh);

 private:
  SitePlan() = default;
  static Result<SitePlan> Begin(const Site& site);  // without a plan yet
  Result<void> Check(bool partial);                 // of the plan that was made
  // Places for the streams that `which` holds for; with the devices.
  Result<void> Place(bool devices, bool partial,
                     const std::function<bool(const std::string& stream)>& which) const;
  void TakeOver();

  std::vector<SiteDevice> devices_;
  placement::PlacementProblem problem_;
  placement::MadePlan made_;
  std::map<std::string, double> weights_;
  std::map<std::string, std::string> why_not_;
  bool restarts_ = false;  // apps whose place changes are started again
  std::set<std::string> finished_;
  std::uint64_t version_ = 0;  // of the daemon's places, as last heard of
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
