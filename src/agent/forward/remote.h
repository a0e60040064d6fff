// One session's executors: its lanes to them, which are idle, and which executor is down. Lends
// lanes to the app's threads. Thread-safe; the lock is never held while anything is waited for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/forward/lane.h"
#include "agent/sync.h"

namespace stagger::agent {

class Remote {
 public:
  // `model` stays valid; lanes are opened as they are needed.
  Remote(const std::vector<std::string>& sockets, wire::Open open);

  // The first lane: tries one executor after the other. On success the model's and the stub's
  // bytes are there; else `reason` says why not.
  bool Begin(std::span<const std::byte> model, Mapping* stub, std::string* reason);

  // The executor with the fewest inferences of this session; null: none can be had now.
  std::unique_ptr<Lane> Acquire();
  void Return(std::unique_ptr<Lane> lane);
  // The executor is gone: all its lanes are.
  void Lose(std::unique_ptr<Lane> lane);

  bool batch() const { return batch_; }
  std::size_t executors() const { return executors_.size(); }
  std::span<const std::byte> model() const { return model_.bytes(); }

  // pthread_atfork: lanes are the parent's.
  static void BeforeFork();
  static void AfterForkInParent();
  static void AfterForkInChild();

 private:
  struct Executor {
    std::string socket;
    std::vector<std::unique_ptr<Lane>> idle;
    int busy = 0;
    TimePoint retry_at{};  // when it may be tried again, after it failed
    Duration pause{};
  };

  void ForgetParents();
  void Failed(Executor& executor);

  wire::Open open_;
  Mapping model_;
  bool batch_ = false;
  std::vector<Executor> executors_;
  unsigned generation_;
  std::size_t turn_ = 0;  // whose turn it is among equals
};

}  // namespace stagger::agent
