// The verbs of the command line: status, why, policy, assign, place, unplace, places, stop. Loop
// thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "daemon/clients/commands.h"

namespace stagger::daemon {

class EngineHost;
class PlanService;
struct Snapshot;

class Control : public Commands {
 public:
  using Look = std::function<std::shared_ptr<const Snapshot>(TimePoint)>;
  // Works an answer out on another thread. False: too many wait.
  using Later = std::function<bool(ClientId, std::function<Answer()>)>;

  // An answer that was worked out meanwhile.
  using Send = std::function<void(ClientId, const Answer&)>;

  // `look` gives what is known just now.
  Control(EngineHost* host, PlanService* plan_service, Look look, Later later, Send send,
          std::function<void()> stop)
      : host_(host),
        plan_service_(plan_service),
        look_(std::move(look)),
        later_(std::move(later)),
        send_(std::move(send)),
        stop_(std::move(stop)) {}

  std::optional<Answer> Handle(const std::string& verb, const std::string& body, const Asker& asker,
                               TimePoint now) override;
  void Stop() override { stop_(); }
  std::optional<std::string> News(pid_t pid, std::uint64_t* told) override;

 private:
  std::optional<Answer> Defer(const Asker& asker, std::function<Answer()> work);
  std::optional<Answer> Explain(const std::string& body, const Asker& asker, TimePoint now);
  Answer Policy(const std::string& body, Access access, TimePoint now);
  // {"name", "executors": [socket or executor's name, ...], "reason"}; executors [] is "in the
  // app", null forgets what was assigned. Answers with the streams that were told,
  // and all that is assigned; without arguments only the latter.
  Answer Assign(const std::string& body, Access access, TimePoint now);
  std::string PolicyInForce() const;
  std::optional<Answer> Place(const std::string& verb, const std::string& body, const Asker& asker);

  EngineHost* host_;
  PlanService* plan_service_;
  Look look_;
  Later later_;
  Send send_;
  std::function<void()> stop_;
};

}  // namespace stagger::daemon
