// An agent's and a daemon's side of protocol 6 as it first was: the oldest that today's programs
// must get on with. It shares no line with src/wire and is never changed along with it: only when
// kProtocolVersion rises does this fixture become that version's first form.
// One thread; waits with a limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace stagger::first_protocol {

using Packet = std::vector<unsigned char>;

inline constexpr std::uint16_t kVersion = 6;
inline constexpr std::uint16_t kHello = 1, kRequest = 2, kRelease = 3;
inline constexpr std::uint16_t kWelcome = 32, kConfig = 33, kGrant = 34, kRefused = 36;
inline constexpr std::uint16_t kRetryAfter = 38;

// ---- an agent's
Packet Hello(const std::string& name, std::uint64_t features = 0);
Packet Request(std::uint64_t seq);  // of a turn on the CPU
Packet Release(std::uint64_t seq);
// ---- a daemon's
Packet Welcome(std::uint64_t client, std::uint64_t features = 0);
Packet Config();
Packet Grant(std::uint64_t seq);
Packet Refused(const std::string& reason);
Packet RetryAfter(std::uint64_t ms, const std::string& reason);

// The same message as a newer peer would send it, with so many bytes of fields appended.
Packet Newer(Packet packet, std::size_t bytes = 21);

// A packet that came.
struct Heard {
  std::uint16_t type = 0;
  Packet fields;
  // The little-endian number of `size` bytes at `at`; 0 where there are none.
  std::uint64_t Number(std::size_t at, std::size_t size) const;
  std::string Text(std::size_t at) const;
};

class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  ~Connection();
  Connection(Connection&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Connection& operator=(Connection&& other) noexcept;

  static std::optional<Connection> To(const std::string& path);

  int fd() const { return fd_; }
  bool Send(const Packet& packet);
  // The next packet; nullopt: none came within `ms`, or the peer has hung up.
  std::optional<Heard> Next(int ms);
  // The next packet of that type; others on the way are skipped.
  std::optional<Heard> Await(std::uint16_t type, int ms);

 private:
  int fd_ = -1;
};

class Listener {
 public:
  explicit Listener(const std::string& path);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int fd() const { return fd_; }
  std::optional<Connection> Accept(int ms);

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace stagger::first_protocol
