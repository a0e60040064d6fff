#include "record/queued_recorder.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace stagger::record {

struct QueuedRecorder::State {
  State(Recorder to, std::size_t most_steps) : recorder(std::move(to)), most(most_steps) {}

  Recorder recorder;  // the writing thread's alone
  const std::size_t most;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Step> steps;
  std::string failure;
  bool writing = false;
  bool leaving = false;
};

QueuedRecorder::QueuedRecorder(Recorder recorder, std::size_t most)
    : state_(std::make_shared<State>(std::move(recorder), most)) {
  std::thread([state = state_] { Write(state); }).detach();
}

QueuedRecorder::~QueuedRecorder() {
  Drain(std::chrono::seconds{1});
  const std::lock_guard lock(state_->mutex);
  state_->leaving = true;
  state_->changed.notify_all();
}

bool QueuedRecorder::Add(const core::Event& event, TimePoint now,
                         std::span<const core::Action> actions) {
  Step step{now, event, {actions.begin(), actions.end()}};
  const std::lock_guard lock(state_->mutex);
  if (!state_->failure.empty()) return false;
  if (state_->steps.size() >= state_->most) {
    state_->failure =
        "the file is not written, and " + std::to_string(state_->most) + " steps wait for it";
    return false;
  }
  state_->steps.push_back(std::move(step));
  if (state_->steps.size() == 1) state_->changed.notify_all();
  return true;
}

void QueuedRecorder::Write(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  while (true) {
    state->changed.wait(lock, [&] { return !state->steps.empty() || state->leaving; });
    if (state->leaving) return;
    std::deque<Step> batch;
    batch.swap(state->steps);
    state->writing = true;
    lock.unlock();
    bool good = true;
    for (const Step& step : batch) {
      if (!good) break;
      good = state->recorder.Add(step.event, step.at, step.actions);
    }
    lock.lock();
    state->writing = false;
    if (!good) {
      state->failure = state->recorder.failure();
      state->steps.clear();
    }
    if (state->steps.empty()) state->changed.notify_all();
    if (!good) return;
  }
}

std::string QueuedRecorder::failure() const {
  const std::lock_guard lock(state_->mutex);
  return state_->failure;
}

bool QueuedRecorder::Drain(Duration limit) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, limit, [&] {
    return state_->steps.empty() && !state_->writing;
  }) && state_->failure.empty();
}

}  // namespace stagger::record
