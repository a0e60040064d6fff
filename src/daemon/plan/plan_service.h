// Where the plan in force meets the world: processes that ask for places (the command line),
// executors and GPUs that are there or not, and what the plan wants done about that. Loop thread
// only. Never waits: what may take long is worked out on a copy of the plan, by a worker of its
// own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "daemon/loop/event_loop.h"
#include "daemon/loop/worker.h"
#include "daemon/plan/executor_watch.h"
#include "daemon/plan/gpu_presence.h"
#include "daemon/plan/plan_request.h"
#include "placement/in_force.h"

namespace stagger::daemon {

class EngineHost;

class PlanService {
 public:
  // `acted` is called after this service acted by itself, outside of a request.
  PlanService(EventLoop* loop, std::vector<device::Device> devices, EngineHost* host,
              std::function<void()> acted)
      : loop_(loop), devices_(std::move(devices)), host_(host), acted_(std::move(acted)) {}
  ~PlanService();

  const placement::PlanInForce& plan() const { return plan_; }

  // An app says that a GPU has failed: it may be gone.
  void LookAtGpus();

  // What process `owner` asks for. The answer is the places of the streams it named, as JSON;
  // nothing has changed on an error.
  Result<nlohmann::json> Place(const nlohmann::json& body, pid_t owner, TimePoint now);
  // {"streams": names}: their places are free.
  Result<nlohmann::json> Unplace(const nlohmann::json& body, TimePoint now);
  // The places of streams of process `owner` that have changed after `*told`, a count of changes,
  // oldest first: some of them, and `*told` says which are left. nullopt: none.
  std::optional<nlohmann::json> PlacesSince(std::uint64_t* told, pid_t owner) const;

 private:
  struct Owner {
    UniqueFd process;
    EventLoop::WatchId watch = 0;
    placement::Joined draft;  // what came with `more`
  };
  struct Happened {
    placement::PlanEvent event;
    TimePoint at;
  };
  struct Work {
    placement::PlanInForce plan;  // before, and then after, what happened
    std::vector<Happened> happened;
    placement::PlanActions actions{};
  };

  Result<Owner*> OwnerOf(pid_t pid);
  void OnOwnerGone(pid_t pid);
  Result<void> Watch(const placement::PlacedDevice& device);
  Result<void> WatchGpu(const placement::PlacedDevice& device);
  // Here and now. What the worker has under way is of the plan before, and is worked out again.
  Result<void> Step(const placement::PlanEvent& event, TimePoint now);
  // As soon as the worker is free.
  void StepLater(placement::PlanEvent event);
  void GiveWork();
  void OnWorked(Work work);
  void Carry(const placement::PlanActions& actions);
  void PlanAhead();
  nlohmann::json PlaceOf(const placement::PlacedStream& stream) const;

  EventLoop* loop_;
  std::vector<device::Device> devices_;
  EngineHost* host_;
  std::function<void()> acted_;
  placement::PlanInForce plan_;
  std::unique_ptr<Worker> worker_;  // null: it has not been needed yet
  bool working_ = false;
  std::vector<Happened> happened_;  // and the worker has not had it
  bool overtaken_ = false;          // what the worker has is of an older plan
  std::unique_ptr<Timer> ahead_timer_;
  std::uint32_t ahead_next_ = 0;  // device
  std::map<pid_t, Owner> owners_;
  std::map<std::string, std::unique_ptr<ExecutorWatch>> watches_;  // by device
  std::unique_ptr<GpuPresence> gpus_;                              // null: no plan has had any
};

}  // namespace stagger::daemon
