// A site's plan, a value: made before anything starts, and then as the daemon says that it is.
// Tells the daemon nothing (applied_plan.h does).
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "documents/places.h"
#include "launch/app_environment.h"
#include "placement/keep_plan.h"
#include "site/plan_site.h"
#include "site/site_file.h"

namespace stagger::cli {

// Where a stream runs.
using Place = documents::GivenPlace;

// What an app must have in its environment to be there.
Environment PlaceEnvironment(const Place& place);

// Whether a site's devices say what they are, so that a plan can be applied.
bool HasPlan(const Site& site);

class SitePlan {
 public:
  // Makes it, looking for `seconds` at most. Error: the site cannot be planned, or applied as it is
  // (several lines), or does not fit and `partial` is not set: what to lower, and by how much.
  static Result<SitePlan> Make(const Site& site, bool partial, double seconds);
  // The same plan for a site that has changed in its apps: streams stay where they are as far as
  // the test allows. Error: as Make.
  Result<SitePlan> ChangedTo(const Site& site, bool partial) const;

  // Whether the stream has a place; where not, `reason` says why.
  bool Has(const std::string& stream, std::string* reason) const;

  // What the daemon's "place" is to be asked, a packet each: for the streams that `which` holds for
  // and that are not over; with the devices, unless `sockets` is null: of their executors, by
  // device. Streams may stay without a place if `partial`, and if one of them has none as it is: it
  // is not to keep the others from theirs.
  std::vector<nlohmann::json> Requests(
      const std::map<std::string, std::string>* sockets, bool partial,
      const std::function<bool(const std::string& stream)>& which) const;
  // Takes over what the daemon says of a stream. False: the plan has no such stream.
  bool Hear(const Place& place);
  // Null: the plan has no such stream.
  const Place* Find(const std::string& stream) const;

  // The stream will not come back, or does.
  void Finished(const std::string& stream) { finished_.insert(stream); }
  void Again(const std::string& stream) { finished_.erase(stream); }

 private:
  SitePlan() = default;
  static Result<SitePlan> Begin(const Site& site);  // without places yet
  Result<void> Take(const placement::MadePlan& made, bool partial);

  std::vector<SiteDevice> devices_;
  placement::PlacementProblem problem_;
  std::map<std::string, Place> places_;
  std::map<std::string, double> weights_;
  std::map<std::string, std::string> why_not_;
  bool restarts_ = false;  // apps whose place changes are started again
  std::set<std::string> finished_;
};

}  // namespace stagger::cli
