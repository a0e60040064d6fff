// A site's plan that the daemon keeps: given to it, heard of on a connection that stays open, and
// given again, as it was last, to a daemon that came back. One thread. Waits for the daemon's
// answer where something is asked of it, and never for news.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "site/site_plan.h"

namespace stagger::cli {

class AppliedPlan {
 public:
  // `sockets` are the executors', by device.
  AppliedPlan(SitePlan plan, std::string daemon, std::map<std::string, std::string> sockets)
      : plan_(std::move(plan)), daemon_(std::move(daemon)), sockets_(std::move(sockets)) {}
  const SitePlan& plan() const { return plan_; }

  // The daemon is to keep it from now on.
  Result<void> Give();
  // Where no daemon has it and one is there: gives it. True: one has it now.
  bool GiveAgain();

  // Readable: there is news, or no daemon has the plan any more. -1: none has it.
  int fd() const { return line_.get(); }
  // Of apps that have started and of which there was news: why they are to be on other GPUs than
  // those that they started on; empty: they are where they should be, or have no place.
  std::map<std::string, std::string> News();

  // An app starts: where. Error: it has no place, and why.
  Result<Place> Start(const std::string& app);
  // It will not come back: its place is free.
  void Finished(const std::string& app);

  // This plan instead: `gone` leave, `fresh` come. Error: the daemon refuses, and all is as it was.
  Result<void> Change(SitePlan next, const std::vector<std::string>& gone,
                      const std::vector<std::string>& fresh);

 private:
  Result<void> Ask(const std::vector<nlohmann::json>& requests);
  void Hear(const nlohmann::json& answer);

  SitePlan plan_;
  std::string daemon_;
  std::map<std::string, std::string> sockets_;
  UniqueFd line_;  // to the daemon that has the plan: its end is that daemon's
  std::string chunks_;
  std::map<std::string, std::string> news_;
  std::map<std::string, std::vector<std::string>> started_on_;  // UUIDs, by app
};

// Asks for a place for one more stream, for as long as this process lives. `need`: fields as the
// daemon's "place" takes them.
Result<Place> AskForPlace(const std::string& daemon, const nlohmann::json& need);

}  // namespace stagger::cli
