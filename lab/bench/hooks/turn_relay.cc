#include "lab/bench/hooks/turn_relay.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "wire/listener.h"

namespace stagger::cli {
namespace {

constexpr char kTake = 't';
constexpr char kGive = 'g';

// First come, first served. A client that goes away gives back what it holds.
class Turn {
 public:
  void OnTake(int fd) {
    if (holder_ >= 0) return waiting_.push_back(fd);
    Grant(fd);
  }
  void OnGive(int fd) {
    if (holder_ != fd) return;
    holder_ = -1;
    if (waiting_.empty()) return;
    const int next = waiting_.front();
    waiting_.pop_front();
    Grant(next);
  }
  void OnGone(int fd) {
    std::erase(waiting_, fd);
    OnGive(fd);
  }

 private:
  void Grant(int fd) {
    holder_ = fd;
    const char word = kGive;
    if (send(fd, &word, 1, MSG_NOSIGNAL) != 1) holder_ = -1;  // it shows as gone next
  }

  int holder_ = -1;
  std::deque<int> waiting_;
};

[[noreturn]] void Serve(int listener) {
  Turn turn;
  std::vector<pollfd> polled{{listener, POLLIN, 0}};
  for (;;) {
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) _exit(1);
    for (std::size_t i = polled.size(); i-- > 1;) {
      if (polled[i].revents == 0) continue;
      char word = 0;
      const ssize_t size = recv(polled[i].fd, &word, 1, MSG_DONTWAIT);
      if (size == 1) {
        if (word == kTake) turn.OnTake(polled[i].fd);
        if (word == kGive) turn.OnGive(polled[i].fd);
      } else if (size == 0 || errno != EAGAIN) {
        turn.OnGone(polled[i].fd);
        close(polled[i].fd);
        polled.erase(polled.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if ((polled.front().revents & POLLIN) != 0) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) polled.push_back({fd, POLLIN, 0});
    }
  }
}

}  // namespace

Result<TurnRelay> TurnRelay::Start(const std::string& socket_path) {
  const Result<wire::Listener> listener = wire::Listen(socket_path, "");
  if (!listener) return listener.error();
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return Error{fmt::format("cannot start a process: {}", std::strerror(errno))};
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    Serve(listener->socket.get());
  }
  return TurnRelay(pid);
}

TurnRelay::TurnRelay(TurnRelay&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

TurnRelay::~TurnRelay() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace stagger::cli
