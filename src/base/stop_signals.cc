#include "base/stop_signals.h"

#include <pthread.h>
#include <sys/signalfd.h>

#include <csignal>

namespace stagger {

Result<UniqueFd> TakeStopSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  UniqueFd fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd.valid()) return Error{"cannot take signals"};
  return fd;
}

}  // namespace stagger
