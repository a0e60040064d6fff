#include "daemon/loop/log_queue.h"

#include <fmt/format.h>
#include <spdlog/details/log_msg_buffer.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace stagger::daemon {

using spdlog::details::log_msg;
using spdlog::details::log_msg_buffer;

struct LogQueue::State {
  std::shared_ptr<spdlog::sinks::sink> to;
  std::size_t most;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<log_msg_buffer> lines;
  std::size_t lost = 0;
  std::size_t lost_told = 0;
  bool writing = false;
  bool leaving = false;
};

LogQueue::LogQueue(std::shared_ptr<spdlog::sinks::sink> to, std::size_t most)
    : state_(std::make_shared<State>()) {
  state_->to = std::move(to);
  state_->most = most;
  std::thread([state = state_] { Write(state); }).detach();
}

LogQueue::~LogQueue() {
  const std::lock_guard lock(state_->mutex);
  state_->leaving = true;
  state_->changed.notify_all();
}

void LogQueue::log(const log_msg& line) {
  const std::lock_guard lock(state_->mutex);
  if (state_->lines.size() >= state_->most) {
    state_->lines.pop_front();
    ++state_->lost;
  }
  state_->lines.emplace_back(line);
  if (state_->lines.size() == 1) state_->changed.notify_all();
}

void LogQueue::Write(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  while (true) {
    state->changed.wait(lock, [&] { return !state->lines.empty() || state->leaving; });
    if (state->lines.empty()) return;
    const log_msg_buffer line = std::move(state->lines.front());
    state->lines.pop_front();
    const std::size_t lost = state->lost - std::exchange(state->lost_told, state->lost);
    state->writing = true;
    lock.unlock();
    if (lost > 0) {
      const std::string text = fmt::format("{} lines of this log are lost: nobody read it", lost);
      state->to->log(log_msg(line.logger_name, spdlog::level::warn, text));
    }
    state->to->log(line);
    state->to->flush();
    lock.lock();
    state->writing = false;
    if (state->lines.empty()) state->changed.notify_all();
  }
}

void LogQueue::set_pattern(const std::string& pattern) { state_->to->set_pattern(pattern); }

void LogQueue::set_formatter(std::unique_ptr<spdlog::formatter> formatter) {
  state_->to->set_formatter(std::move(formatter));
}

bool LogQueue::Drain(Duration limit) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, limit,
                                  [&] { return state_->lines.empty() && !state_->writing; });
}

std::size_t LogQueue::lost() const {
  const std::lock_guard lock(state_->mutex);
  return state_->lost;
}

}  // namespace stagger::daemon
