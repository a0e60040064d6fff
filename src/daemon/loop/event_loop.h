// The daemon's one thread of decisions: epoll over sockets, timers and signals.
// A handler may watch and unwatch anything, itself included, while it runs. Never sleeps but in
// Run(); nothing here is thread-safe. Other threads reach the loop through an eventfd it watches.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "daemon/loop/loop_steps.h"

namespace stagger::daemon {

class EventLoop {
 public:
  using Handler = std::function<void(std::uint32_t events)>;
  using WatchId = std::uint64_t;  // never reused, so a stale event cannot reach a new client

  static Result<std::unique_ptr<EventLoop>> Create();

  // `events` are EPOLLIN, EPOLLOUT; level-triggered. The fd must stay open until Unwatch.
  Result<WatchId> Watch(int fd, std::uint32_t events, Handler handler);
  void Change(WatchId id, std::uint32_t events);
  void Unwatch(WatchId id);

  // Until Stop(). An error means epoll itself failed.
  Result<void> Run();
  void Stop() { running_ = false; }

  const LoopSteps& steps() const { return steps_; }

 private:
  explicit EventLoop(UniqueFd epoll) : epoll_(std::move(epoll)) {}

  struct Watched {
    int fd;
    Handler handler;
  };
  UniqueFd epoll_;
  std::unordered_map<WatchId, std::shared_ptr<Watched>> watched_;
  WatchId next_id_ = 1;
  bool running_ = false;
  LoopSteps steps_;
};

// Calls back at a deadline. Arming is lazy, to spare a system call per turn: a later deadline than
// the one in force is ignored, so the callback may come early and arms again by what it finds due.
class Timer {
 public:
  static Result<std::unique_ptr<Timer>> Create(EventLoop* loop, std::function<void()> callback);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void ArmBy(TimePoint deadline);  // kNever: nothing

 private:
  Timer(EventLoop* loop, UniqueFd fd) : loop_(loop), fd_(std::move(fd)) {}

  EventLoop* loop_;
  UniqueFd fd_;
  EventLoop::WatchId watch_ = 0;
  TimePoint armed_ = kNever;
};

}  // namespace stagger::daemon
