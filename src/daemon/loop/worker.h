// Work that would keep the loop from grants, on one thread of its own; what follows from the work
// runs on the loop. All calls on the loop's thread, which never waits for the other one. The work
// must use nothing that the loop may change.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/work_queue.h"
#include "daemon/loop/event_loop.h"

namespace stagger::daemon {

class Worker {
 public:
  static constexpr std::size_t kMost = 1024;  // pieces of work that wait

  using FollowUp = std::function<void()>;

  static Result<std::unique_ptr<Worker>> Create(EventLoop* loop);
  ~Worker() { loop_->Unwatch(watch_); }

  // False: too much waits.
  bool Do(std::function<FollowUp()> work) { return queue_.Push(std::move(work)); }

 private:
  // Shared with the thread.
  struct Done {
    UniqueFd ready;  // eventfd
    std::mutex mutex;
    std::vector<FollowUp> follow_ups;
  };

  Worker(EventLoop* loop, std::shared_ptr<Done> done);
  void OnDone();

  EventLoop* loop_;
  std::shared_ptr<Done> done_;
  EventLoop::WatchId watch_ = 0;
  WorkQueue<std::function<FollowUp()>> queue_;
};

}  // namespace stagger::daemon
