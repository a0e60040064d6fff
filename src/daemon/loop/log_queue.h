// Takes lines of the log from any thread and writes them on a thread of its own. Logging never
// waits for the reader of the log: where that reader stops, the oldest lines are lost, and the log
// says how many once it is read again.
#pragma once

#include <spdlog/details/log_msg_buffer.h>
#include <spdlog/sinks/sink.h>

#include <cstddef>
#include <memory>
#include <string>

#include "base/work_queue.h"

namespace stagger::daemon {

class LogQueue final : public spdlog::sinks::sink {
 public:
  static constexpr std::size_t kMostLines = 4096;

  explicit LogQueue(std::shared_ptr<spdlog::sinks::sink> to, std::size_t most = kMostLines);

  void log(const spdlog::details::log_msg& line) override { lines_.Push(Line(line)); }
  void flush() override {}
  void set_pattern(const std::string& pattern) override { to_->set_pattern(pattern); }
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
    to_->set_formatter(std::move(formatter));
  }

  // Waits until all is written. False: not within `limit`.
  bool Drain(Duration limit) { return lines_.Drain(limit); }
  std::size_t lost() const { return lines_.lost(); }

 private:
  using Line = spdlog::details::log_msg_buffer;

  std::shared_ptr<spdlog::sinks::sink> to_;
  WorkQueue<Line> lines_;
};

}  // namespace stagger::daemon
