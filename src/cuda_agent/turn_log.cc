#include "cuda_agent/turn_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "phase/confidence.h"

namespace stagger::cuda_agent {

TurnLog::TurnLog() {
  const char* path = std::getenv("STAGGER_TURNS");
  if (path == nullptr || *path == '\0') return;
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  // Out of the way of the numbers that the app expects.
  fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 500);
  close(fd);
  if (!wanted()) return;
  std::atexit([] {
    Get().ends_ = true;
    Get().Write();
  });
}

TurnLog& TurnLog::Get() {
  alignas(TurnLog) static unsigned char storage[sizeof(TurnLog)];
  static TurnLog* const log = ::new (storage) TurnLog();
  return *log;
}

void TurnLog::Add(const Body& body, TimePoint over, bool at_once) {
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
  agent::MutexLock lock(&lock_);
  const std::size_t kept = kept_.load(std::memory_order_relaxed);
  if (at_once || ends_) return WriteLocked(line.data(), size);
  const bool full = kept + size > lines_.size();
  if (full) WriteLocked(lines_.data(), kept);
  const std::size_t from = full ? 0 : kept;
  std::copy_n(line.data(), size, lines_.data() + from);
  kept_.store(from + size, std::memory_order_relaxed);
}

void TurnLog::Write() {
  agent::MutexLock lock(&lock_);
  WriteLocked(lines_.data(), kept_.exchange(0, std::memory_order_relaxed));
}

void TurnLog::WriteLocked(const char* text, std::size_t size) {
  // A full disk: there is no line.
  if (size > 0 && write(fd_, text, size) != static_cast<ssize_t>(size)) return;
}

}  // namespace stagger::cuda_agent
