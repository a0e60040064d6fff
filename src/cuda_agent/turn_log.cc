#include "cuda_agent/turn_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <utility>

#include "phase/standing.h"

namespace stagger::cuda_agent {

TurnLog::TurnLog() {
  const char* path = std::getenv("STAGGER_TURNS");
  if (path == nullptr || *path == '\0') return;
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  // Out of the way of the numbers that the app expects.
  fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 500);
  close(fd);
}

TurnLog& TurnLog::Get() {
  alignas(TurnLog) static unsigned char storage[sizeof(TurnLog)];
  static TurnLog* const log = ::new (storage) TurnLog();
  return *log;
}

void TurnLog::Add(const OpenBody& body, TimePoint over, bool at_once) {
  if (!wanted()) return;
  std::array<char, 384> line{};
  const auto number = [](auto value) { return static_cast<unsigned long long>(value); };
  const int length = std::snprintf(
      line.data(), line.size(),
      "{\"pid\": %d, \"device\": %llu, \"turn\": %llu, \"body\": %llu, \"state\": \"%s\", "
      "\"first_launch\": %llu, \"last_launch\": %llu, \"asked_ns\": %lld, \"begun_ns\": %lld, "
      "\"over_ns\": %lld}\n",
      static_cast<int>(getpid()), number(body.ticket.device), number(body.ticket.seq),
      number(body.id), phase::NameOf(body.state), number(body.first_launch),
      number(body.last_launch), static_cast<long long>(body.asked.since_epoch.count()),
      static_cast<long long>(body.begun.since_epoch.count()),
      static_cast<long long>(over.since_epoch.count()));
  const auto size = static_cast<std::size_t>(length);
  if (at_once) return Write(line.data(), size);
  if (kept_ + size > lines_.size()) Write();
  std::copy_n(line.data(), size, lines_.data() + kept_);
  kept_ += size;
}

void TurnLog::Write() { Write(lines_.data(), std::exchange(kept_, 0)); }

void TurnLog::Write(const char* text, std::size_t size) {
  // A full disk: there is no line.
  if (write(fd_, text, size) != static_cast<ssize_t>(size)) return;
}

}  // namespace stagger::cuda_agent
