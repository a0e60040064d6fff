#include "launch/stop_signal.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/clock.h"

namespace stagger::cli {

Result<StopSignal> StopSignal::Block() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return Error{fmt::format("signalfd: {}", std::strerror(errno))};
  return StopSignal(std::move(fd));
}

bool StopSignal::Raised() {
  signalfd_siginfo info;
  while (read(fd_.get(), &info, sizeof info) == sizeof info) {
    const bool sent = info.ssi_code <= 0;  // the kernel's own are SI_KERNEL
    if (reloads_ && info.ssi_signo == SIGHUP && sent) {
      reload_ = true;
    } else {
      raised_ = true;
    }
  }
  return raised_;
}

bool StopSignal::TakeReload() {
  (void)Raised();
  return std::exchange(reload_, false);
}

bool StopSignal::WaitFor(Duration duration) {
  const TimePoint deadline = Now() + duration;
  while (!Raised()) {
    const Duration left = deadline - Now();
    if (left <= Duration::zero()) return false;
    pollfd entry{fd_.get(), POLLIN, 0};
    const timespec wait{static_cast<time_t>(left.count() / 1'000'000'000),
                        static_cast<long>(left.count() % 1'000'000'000)};
    ppoll(&entry, 1, &wait, nullptr);
  }
  return true;
}

}  // namespace stagger::cli
