#include "stop_signal.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <stdexcept>

namespace camera_detector {
namespace {

// A signal may land on any thread of the process; the pipe wakes the one that
// waits, and unlike EINTR it cannot be missed between the check and the sleep.
int stop_pipe[2] = {-1, -1};
std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void OnSignal(int) {
  const int saved = errno;
  stop_requested.store(true);
  [[maybe_unused]] const ssize_t written = write(stop_pipe[1], "x", 1);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  errno = saved;
}

}  // namespace

StopSignal::StopSignal() {
  if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("pipe2 failed");
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

StopSignal::~StopSignal() {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

bool StopSignal::Requested() const { return stop_requested.load(); }

bool StopSignal::WaitUntil(TimePoint when) const {
  while (!Requested()) {
    const auto left = std::chrono::nanoseconds(when - Clock::now()).count();
    if (left <= 0) return false;
    const timespec timeout = {left / 1'000'000'000, left % 1'000'000'000};
    pollfd wake = {stop_pipe[0], POLLIN, 0};
    ppoll(&wake, 1, &timeout, nullptr);
  }
  return true;
}

}  // namespace camera_detector
