// Watches one executor: a connection that nothing is asked on, whose end is the executor's. Says
// when it has been away for a moment longer than a restart in place takes, and when it is back.
// Loop thread only. Never waits.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "daemon/loop/event_loop.h"

namespace stagger::daemon {

class ExecutorWatch {
 public:
  // Away for so long: streams that it serves are placed elsewhere.
  static constexpr Duration kGrace = std::chrono::milliseconds{250};
  // Asked that often; one that does not answer (wire::kExecutorPatience) hangs, which is as good as
  // gone.
  static constexpr Duration kAskEvery = std::chrono::milliseconds{500};

  // Called from the loop, with why: `gone` at most once before `back`, and so on.
  struct Callbacks {
    std::function<void(const std::string& why)> gone;
    std::function<void()> back;
    std::function<void(const std::string& status)> told;  // each time it answers, after `back`
  };
  static Result<std::unique_ptr<ExecutorWatch>> Create(EventLoop* loop, std::string socket,
                                                       Callbacks callbacks);
  ~ExecutorWatch();
  ExecutorWatch(const ExecutorWatch&) = delete;
  ExecutorWatch& operator=(const ExecutorWatch&) = delete;

 private:
  ExecutorWatch(EventLoop* loop, std::string socket, Callbacks callbacks)
      : loop_(loop), socket_(std::move(socket)), callbacks_(std::move(callbacks)) {}
  bool TryConnect(TimePoint now);
  void Let();  // of the connection
  void OnReady();
  void OnTimer();
  void Ask(TimePoint now);

  EventLoop* loop_;
  std::string socket_;
  Callbacks callbacks_;
  std::unique_ptr<Timer> timer_;
  UniqueFd fd_;
  EventLoop::WatchId watch_ = 0;
  bool gone_ = false;         // and that was told
  TimePoint away_since_{};    // while there is no connection
  TimePoint asked_ = kNever;  // and not answered since
  TimePoint ask_at_{};
  std::string why_;
};

}  // namespace stagger::daemon
