// Steps a copy of the plan on a thread of its own: to find which streams move may take hundreds of
// boards, and the loop grants turns meanwhile. All calls on the loop's thread, which waits for the
// other one only in the destructor.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "daemon/loop/event_loop.h"
#include "placement/in_force.h"

namespace stagger::daemon {

class PlanWorker {
 public:
  struct Happened {
    placement::PlanEvent event;
    TimePoint at;
  };
  struct Work {
    placement::PlanInForce plan;  // before, and then after, what happened
    std::vector<Happened> happened;
    placement::PlanActions actions{};
  };

  // `done` is called from the loop.
  static Result<std::unique_ptr<PlanWorker>> Create(EventLoop* loop,
                                                    std::function<void(Work)> done);
  ~PlanWorker();

  bool busy() const { return busy_; }
  void Start(Work work);  // not while busy()

 private:
  PlanWorker(EventLoop* loop, UniqueFd finished, std::function<void(Work)> done);
  void OnFinished();
  void Run();

  EventLoop* loop_;
  UniqueFd finished_;  // eventfd
  EventLoop::WatchId watch_ = 0;
  std::function<void(Work)> done_;
  bool busy_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Work> given_;
  std::optional<Work> finished_work_;  // not fetched yet
  bool leaving_ = false;
  std::thread thread_;
};

}  // namespace stagger::daemon
