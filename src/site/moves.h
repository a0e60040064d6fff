// Where a site's apps were when they started, and which of them have another place by now. Asks the
// daemon; used on one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/time.h"
#include "site/site_plan.h"

namespace stagger::cli {

class Moves {
 public:
  explicit Moves(std::string daemon) : daemon_(std::move(daemon)) {}

  void Started(const std::string& app, const Place& place) { started_on_[app] = place.gpus; }

  // Of these, those that use a GPU themselves and are to be on another one, with the daemon's
  // reason. Those without any place now are none. Nothing where the daemon does not answer within
  // `timeout`.
  std::map<std::string, std::string> Moved(const std::vector<std::string>& apps,
                                           Duration timeout) const;

 private:
  std::string daemon_;
  std::map<std::string, std::vector<std::string>> started_on_;  // UUIDs
};

}  // namespace stagger::cli
