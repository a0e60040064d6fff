// The verbs of the command line: status, why, policy, assign, place, unplace, places, stop. Loop
// thread only.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "base/time.h"
#include "daemon/clients/commands.h"

namespace stagger::daemon {

class EngineHost;
class PlanService;

class Control : public Commands {
 public:
  // `status` gives the status document, fresh.
  Control(EngineHost* host, PlanService* placement, std::function<nlohmann::json(TimePoint)> status,
          std::function<void()> stop)
      : host_(host), placement_(placement), status_(std::move(status)), stop_(std::move(stop)) {}

  Answer Handle(const std::string& verb, const std::string& body, Standing standing, pid_t pid,
                TimePoint now) override;
  void Stop() override { stop_(); }
  std::optional<std::string> News(pid_t pid, std::uint64_t* told) override;

 private:
  Answer Explain(const std::string& body, TimePoint now);
  Answer Policy(const std::string& body, Standing standing, TimePoint now);
  // {"name", "executors": [socket or executor's name, ...], "reason"}; executors [] is "in the
  // app", null forgets what was assigned. Answers with the streams that were told,
  // and all that is assigned; without arguments only the latter.
  Answer Assign(const std::string& body, Standing standing, TimePoint now);
  std::string PolicyInForce() const;
  Answer Place(const std::string& verb, const std::string& body, Standing standing, pid_t pid,
               TimePoint now);

  EngineHost* host_;
  PlanService* placement_;
  std::function<nlohmann::json(TimePoint)> status_;
  std::function<void()> stop_;
};

}  // namespace stagger::daemon
