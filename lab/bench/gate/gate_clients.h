// Processes that talk to a daemon directly, without an agent or an app, so that what is measured is
// the daemon and the wire alone. Each waits for orders on a socket of its own and dies with us.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "wire/messages.h"

namespace stagger::cli {

// A connection as an agent has it. Used by one thread; waits by poll, never spins.
class GateClient {
 public:
  static Result<GateClient> Connect(const std::string& socket, const std::string& name);

  bool Request();
  // False on a lost connection or after 5 s.
  bool AwaitGrant();
  // Without waiting: whether the grant is there. nullopt: the connection is lost.
  std::optional<bool> PollGrant();
  bool Release(Duration body);

  int fd() const { return fd_.get(); }

 private:
  explicit GateClient(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
  std::uint64_t seq_ = 0;
};

enum class Role : std::uint8_t {
  kEcho,    // sends back each packet
  kWaiter,  // order: requests a turn and says so; then says when it got it, and gives it back
  kHolder,  // order: takes a turn, says so, and keeps it for ever
};

class Partner {
 public:
  static Result<Partner> Start(Role role, const std::string& socket);
  Partner(Partner&& other) noexcept;
  Partner& operator=(Partner&&) = delete;
  ~Partner();  // kills and reaps it

  pid_t pid() const { return pid_; }
  // One packet there and back; false when the partner is gone.
  bool PingPong();
  // Sends an order and waits for the partner's word that it is under way.
  bool Order();
  // What the partner says next: a time on the monotonic clock. nullopt when it is gone, or silent
  // for 5 s.
  std::optional<TimePoint> Answer();
  void Kill();  // SIGKILL, without waiting

 private:
  Partner(pid_t pid, UniqueFd fd) : pid_(pid), fd_(std::move(fd)) {}
  pid_t pid_;
  UniqueFd fd_;
};

}  // namespace stagger::cli
