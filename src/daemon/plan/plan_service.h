// Where the plan in force meets the world: processes that ask for places (the command line),
// executors and GPUs that are there or not, and what the plan wants done about that. Loop thread
// only. Never waits: each step of the plan is worked out on a copy by a thread of its own, since to
// find which streams move may take hundreds of boards, and the loop grants turns meanwhile.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
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
  // The places of the streams that were named (documents::GivenPlaces, as text); an error is one
  // line.
  using Outcome = Result<std::string>;
  using Answer = std::function<void(const Outcome&)>;  // called from the loop

  // `acted` is called after this service acted by itself, outside of a request.
  PlanService(EventLoop* loop, std::vector<device::Device> devices, EngineHost* host,
              std::function<void()> acted)
      : loop_(loop), devices_(std::move(devices)), host_(host), acted_(std::move(acted)) {}
  ~PlanService();

  // As it is now; what happens later makes another one. Any thread may read it.
  const std::shared_ptr<const placement::PlanInForce>& plan() const { return plan_; }

  // An app says that a GPU has failed: it may be gone.
  void LookAtGpus();

  // What process `owner` asks for: the answer, or nullopt where `answer` is called with it later.
  // Nothing has changed on an error.
  std::optional<Outcome> Place(const nlohmann::json& body, pid_t owner, Answer answer);
  // {"streams": names}: their places are free. Likewise.
  std::optional<Outcome> Unplace(const nlohmann::json& body, Answer answer);
  // The places of streams of process `owner` that have changed after `*told`, a count of changes,
  // oldest first: some of them, and `*told` says which are left. nullopt: none.
  std::optional<std::string> PlacesSince(std::uint64_t* told, pid_t owner) const;

 private:
  struct Owner {
    UniqueFd process;
    EventLoop::WatchId watch = 0;
    placement::Joined draft;  // what came with `more`
  };
  struct Happened {
    placement::PlanEvent event;
    TimePoint at;
    Answer answer{};                  // empty: nobody asked
    Outcome outcome = std::string();  // of what was asked
  };
  struct Work {
    std::shared_ptr<const placement::PlanInForce> before;
    std::vector<Happened> happened;
    std::shared_ptr<const placement::PlanInForce> after{};
    placement::PlanActions actions{};
  };

  Result<Owner*> OwnerOf(pid_t pid);
  void OnOwnerGone(pid_t pid);
  Result<void> Watch(const placement::PlacedDevice& device);
  Result<void> WatchGpu(const placement::PlacedDevice& device);
  // As soon as the worker is free.
  void Step(placement::PlanEvent event, Answer answer = {});
  void GiveWork();
  static void Do(Work* work);
  void OnWorked(const std::shared_ptr<Work>& work);
  void CarryOn(const std::shared_ptr<Work>& work, std::size_t from);
  void Finish(const Work& work);
  Result<void> WatchAll(const std::vector<placement::PlacedDevice>& devices);
  void Carry(std::span<const placement::PlanAction> actions);
  void PlanAhead();

  EventLoop* loop_;
  std::vector<device::Device> devices_;
  EngineHost* host_;
  std::function<void()> acted_;
  std::shared_ptr<const placement::PlanInForce> plan_ =
      std::make_shared<const placement::PlanInForce>();
  std::unique_ptr<Worker> worker_;  // null: nothing has asked for a place yet
  bool working_ = false;
  std::vector<Happened> happened_;  // and the worker has not had it
  std::unique_ptr<Timer> ahead_timer_;
  std::uint32_t ahead_next_ = 0;  // device
  std::map<pid_t, Owner> owners_;
  std::map<std::string, std::unique_ptr<ExecutorWatch>> watches_;  // by device
  std::unique_ptr<GpuPresence> gpus_;                              // null: no plan has had any
};

}  // namespace stagger::daemon
