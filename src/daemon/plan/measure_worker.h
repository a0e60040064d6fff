// Takes figures of devices into a copy of the plan, on a thread of its own: to find which streams
// move may take hundreds of boards, and the loop grants turns meanwhile. All calls on the loop's
// thread, which waits for the other one only in the destructor.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "daemon/loop/event_loop.h"
#include "placement/in_force.h"

namespace stagger::daemon {

class MeasureWorker {
 public:
  struct Told {
    std::string device;
    placement::DeviceFigures figures;
    TimePoint at;
  };
  struct Outcome {
    placement::PlanInForce plan;  // with the figures taken
    placement::PlanInForce::Changed changed;
    std::vector<Told> told;
  };

  // `done` is called from the loop.
  static Result<std::unique_ptr<MeasureWorker>> Create(EventLoop* loop,
                                                       std::function<void(Outcome)> done);
  ~MeasureWorker();

  bool busy() const { return busy_; }
  // Not while busy(). `told` is taken in that order, into this copy of the plan.
  void Start(placement::PlanInForce plan, std::vector<Told> told);

 private:
  MeasureWorker(EventLoop* loop, UniqueFd finished, std::function<void(Outcome)> done);
  void OnFinished();
  void Run();

  EventLoop* loop_;
  UniqueFd finished_;  // eventfd
  EventLoop::WatchId watch_ = 0;
  std::function<void(Outcome)> done_;
  bool busy_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Outcome> work_;     // with the plan as it was
  std::optional<Outcome> outcome_;  // not fetched yet
  bool leaving_ = false;
  std::thread thread_;
};

}  // namespace stagger::daemon
