#include "daemon/loop/log_queue.h"

#include <fmt/format.h>

#include <utility>

namespace stagger::daemon {

LogQueue::LogQueue(std::shared_ptr<spdlog::sinks::sink> to, std::size_t most)
    : to_(std::move(to)),
      lines_(most, WorkQueue<Line>::Full::kDropOldest, [to = to_](Line& line, std::size_t lost) {
        if (lost > 0) {
          const std::string text =
              fmt::format("{} lines of this log are lost: nobody read it", lost);
          to->log(spdlog::details::log_msg(line.logger_name, spdlog::level::warn, text));
        }
        to->log(line);
        to->flush();
        return true;
      }) {}

}  // namespace stagger::daemon
