// Takes lines of the log from any thread and writes them on a thread of its own. Logging never
// waits for the reader of the log: where that reader stops, the oldest lines are lost, and the log
// says how many once it is read again.
#pragma once

#include <spdlog/sinks/sink.h>

#include <cstddef>
#include <memory>
#include <string>

#include "base/time.h"

namespace stagger::daemon {

class LogQueue final : public spdlog::sinks::sink {
 public:
  static constexpr std::size_t kMostLines = 4096;

  explicit LogQueue(std::shared_ptr<spdlog::sinks::sink> to, std::size_t most = kMostLines);
  ~LogQueue() override;

  void log(const spdlog::details::log_msg& line) override;
  void flush() override {}
  void set_pattern(const std::string& pattern) override;
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override;

  // Waits until all is written. False: not within `limit`.
  bool Drain(Duration limit);
  std::size_t lost() const;

 private:
  // Shared with the thread, which may be stuck in a write when the queue ends.
  struct State;
  static void Write(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;
};

}  // namespace stagger::daemon
