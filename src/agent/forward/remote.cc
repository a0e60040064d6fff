#include "agent/forward/remote.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "agent/say.h"
#include "base/clock.h"

namespace stagger::agent {
namespace {

constexpr int kMostLanes = 64;  // per session and executor
constexpr Duration kFirstPause = std::chrono::milliseconds{50};
constexpr Duration kLastPause = std::chrono::milliseconds{400};

// One for all sessions: it guards a few words at a time, and fork must take it.
Mutex mutex;
std::atomic<unsigned> process_generation{1};

}  // namespace

void Remote::BeforeFork() { mutex.Lock(); }
void Remote::AfterForkInParent() { mutex.Unlock(); }
void Remote::AfterForkInChild() {
  mutex.Renew();
  ++process_generation;
}

Remote::Remote(const std::vector<std::string>& sockets, wire::Open open)
    : open_(std::move(open)), generation_(process_generation) {
  for (const std::string& socket : sockets) executors_.push_back({.socket = socket, .idle = {}});
}

bool Remote::Begin(std::span<const std::byte> model, Mapping* stub, std::string* reason) {
  bool begun = false;
  for (std::size_t i = 0; i < executors_.size(); ++i) {
    Lane::Opening opening = Lane::Open(executors_[i].socket, open_, model, true);
    if (!opening.lane) {
      Failed(executors_[i]);
      if (reason->empty()) *reason = opening.reason;
      if (opening.refused) break;  // the others would say the same
      continue;
    }
    begun = true;
    opening.lane->executor = static_cast<unsigned>(i);
    opening.lane->generation = generation_;
    batch_ = opening.batch;
    model_ = std::move(opening.model);
    *stub = std::move(opening.stub);
    executors_[i].idle.push_back(std::move(opening.lane));
    break;
  }
  return begun && model_.bytes().size() == model.size();
}

void Remote::ForgetParents() {
  if (generation_ == process_generation) return;
  generation_ = process_generation;
  for (Executor& executor : executors_) {
    executor.idle.clear();
    executor.busy = 0;
  }
}

void Remote::Failed(Executor& executor) {
  executor.pause = std::clamp(executor.pause * 2, kFirstPause, kLastPause);
  executor.retry_at = Now() + executor.pause;
}

std::unique_ptr<Lane> Remote::Acquire() {
  std::vector<bool> tried(executors_.size(), false);
  while (true) {
    std::size_t best = executors_.size();
    unsigned generation = 0;
    {
      MutexLock lock(&mutex);
      ForgetParents();
      generation = generation_;
      const TimePoint now = Now();
      // Where all are alike, one after the other: apps that call one frame at a time spread too.
      ++turn_;
      for (std::size_t k = 0; k < executors_.size(); ++k) {
        const std::size_t i = (turn_ + k) % executors_.size();
        const Executor& executor = executors_[i];
        const bool can_open = executor.retry_at <= now && executor.busy < kMostLanes;
        if (tried[i] || (executor.idle.empty() && !can_open)) continue;
        if (best == executors_.size() || executor.busy < executors_[best].busy) best = i;
      }
      if (best == executors_.size()) return nullptr;
      Executor& executor = executors_[best];
      ++executor.busy;
      if (!executor.idle.empty()) {
        std::unique_ptr<Lane> lane = std::move(executor.idle.back());
        executor.idle.pop_back();
        return lane;
      }
    }
    tried[best] = true;
    Lane::Opening opening = Lane::Open(executors_[best].socket, open_, model_.bytes(), false);
    if (opening.lane) {
      opening.lane->executor = static_cast<unsigned>(best);
      opening.lane->generation = generation;
      MutexLock lock(&mutex);
      executors_[best].pause = Duration::zero();
      return std::move(opening.lane);
    }
    SayOnce(Topic::kExecutor, opening.reason + "; its inferences run elsewhere until it is back");
    MutexLock lock(&mutex);
    if (generation == generation_) --executors_[best].busy;
    Failed(executors_[best]);
  }
}

void Remote::Return(std::unique_ptr<Lane> lane) {
  MutexLock lock(&mutex);
  ForgetParents();
  if (lane->generation != generation_) return;
  Executor& executor = executors_[lane->executor];
  --executor.busy;
  executor.idle.push_back(std::move(lane));
}

void Remote::Lose(std::unique_ptr<Lane> lane) {
  std::vector<std::unique_ptr<Lane>> gone;  // closed outside the lock
  MutexLock lock(&mutex);
  ForgetParents();
  if (lane->generation != generation_) return;
  Executor& executor = executors_[lane->executor];
  --executor.busy;
  std::swap(gone, executor.idle);
  Failed(executor);
}

}  // namespace stagger::agent
