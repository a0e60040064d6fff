// A bounded queue with a thread of its own that works off what is pushed, in that order. To push
// never waits for the work, which may be stuck in a write for good: at the end the thread is left
// behind with what it uses. Any thread may push.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/time.h"

namespace stagger {

template <typename Item>
class WorkQueue {
 public:
  enum class Full { kRefuse, kDropOldest };
  // On the queue's thread. `lost`: how many were dropped since the last call. False: it has failed,
  // and is not called again.
  using Work = std::function<bool(Item& item, std::size_t lost)>;

  WorkQueue(std::size_t most, Full full, Work work)
      : state_(std::make_shared<State>(most, full, std::move(work))) {
    std::thread([state = state_] { state->Run(); }).detach();
  }
  // What is queued is still worked off, unless the process ends first.
  ~WorkQueue() {
    const std::lock_guard lock(state_->mutex);
    state_->leaving = true;
    state_->changed.notify_all();
  }
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // False: not taken, since the queue is full or the work has failed.
  bool Push(Item item) {
    const std::lock_guard lock(state_->mutex);
    if (state_->failed) return false;
    if (state_->items.size() >= state_->most) {
      if (state_->full == Full::kRefuse) return false;
      state_->items.pop_front();
      ++state_->lost;
    }
    state_->items.push_back(std::move(item));
    if (state_->items.size() == 1) state_->changed.notify_all();
    return true;
  }

  // Waits until all is done. False: not within `limit`, or the work has failed.
  bool Drain(Duration limit) {
    std::unique_lock lock(state_->mutex);
    const auto idle = [this] { return state_->items.empty() && !state_->working; };
    return state_->changed.wait_for(lock, limit, idle) && !state_->failed;
  }

  std::size_t lost() const {
    const std::lock_guard lock(state_->mutex);
    return state_->lost;
  }

 private:
  struct State {
    State(std::size_t most_items, Full when_full, Work to_do)
        : most(most_items), full(when_full), work(std::move(to_do)) {}

    void Run() {
      std::unique_lock lock(mutex);
      while (!failed) {
        changed.wait(lock, [this] { return !items.empty() || leaving; });
        if (items.empty()) return;
        Item item = std::move(items.front());
        items.pop_front();
        const std::size_t lately = lost - std::exchange(lost_told, lost);
        working = true;
        lock.unlock();
        const bool good = work(item, lately);
        lock.lock();
        working = false;
        failed = !good;
        if (failed) items.clear();
        if (items.empty()) changed.notify_all();
      }
    }

    const std::size_t most;
    const Full full;
    const Work work;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Item> items;
    std::size_t lost = 0;
    std::size_t lost_told = 0;
    bool working = false;
    bool failed = false;
    bool leaving = false;
  };

  std::shared_ptr<State> state_;
};

}  // namespace stagger
