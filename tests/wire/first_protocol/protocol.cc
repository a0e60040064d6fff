#include "wire/first_protocol/protocol.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <utility>

namespace stagger::first_protocol {
namespace {

// A packet under way: header first, its length once all is in.
class Writing {
 public:
  explicit Writing(std::uint16_t type) { Number(type, 2).Number(0, 2).Number(0, 4); }
  Writing& Number(std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      packet_.push_back(static_cast<unsigned char>(value >> (8 * i)));
    }
    return *this;
  }
  Writing& Text(const std::string& text) {
    Number(text.size(), 2);
    packet_.insert(packet_.end(), text.begin(), text.end());
    return *this;
  }
  Packet Done() { return Newer(std::move(packet_), 0); }

 private:
  Packet packet_;
};

constexpr std::uint64_t kMs = 1'000'000;  // ns

sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

bool Ready(int fd, int ms) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, ms) == 1;
}

}  // namespace

Packet Hello(const std::string& name, std::uint64_t features) {
  return Writing(kHello)
      .Number(kVersion, 2)
      .Text(name)
      .Number(0, 4)     // fps
      .Number(0, 4)     // deadline
      .Number(1000, 4)  // weight
      .Number(0, 4)     // least fps
      .Number(0, 1)     // what to do with excess
      .Number(features, 8)
      .Done();
}

Packet Request(std::uint64_t seq) {
  return Writing(kRequest)
      .Number(seq, 8)
      .Number(0, 4)  // device
      .Number(0, 8)  // since the call
      .Number(1, 1)  // gated
      .Number(0, 1)  // sole
      .Number(0, 8)
      .Number(0, 8)  // the inference before
      .Done();
}

Packet Release(std::uint64_t seq) {
  return Writing(kRelease)
      .Number(seq, 8)
      .Number(2 * kMs, 8)  // body
      .Number(kMs, 8)      // wait
      .Number(3 * kMs, 8)  // call
      .Done();
}

Packet Welcome(std::uint64_t client, std::uint64_t features) {
  return Writing(kWelcome)
      .Number(kVersion, 2)
      .Number(client, 8)
      .Number(0, 1)  // GPUs
      .Number(features, 8)
      .Done();
}

Packet Config() {
  return Writing(kConfig)
      .Number(1, 1)             // gating
      .Number(60'000 * kMs, 8)  // longest wait
      .Number(0, 8)             // period
      .Number(0, 4)             // sole
      .Done();
}

Packet Grant(std::uint64_t seq) {
  Writing grant(kGrant);
  grant.Number(seq, 8).Number(60'000 * kMs, 8);
  for (int word = 0; word < 4; ++word) grant.Number(0, 8);  // cores
  return grant.Done();
}

Packet Refused(const std::string& reason) { return Writing(kRefused).Text(reason).Done(); }

Packet RetryAfter(std::uint64_t ms, const std::string& reason) {
  return Writing(kRetryAfter).Number(ms * kMs, 8).Text(reason).Done();
}

Packet Newer(Packet packet, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) packet.push_back(static_cast<unsigned char>(0xa0 + i));
  const std::size_t length = packet.size() - 8;
  for (std::size_t i = 0; i < 4; ++i) packet[4 + i] = static_cast<unsigned char>(length >> (8 * i));
  return packet;
}

std::uint64_t Heard::Number(std::size_t at, std::size_t size) const {
  std::uint64_t value = 0;
  if (at + size > fields.size()) return 0;
  for (std::size_t i = 0; i < size; ++i) value |= std::uint64_t{fields[at + i]} << (8 * i);
  return value;
}

std::string Heard::Text(std::size_t at) const {
  const std::size_t size = Number(at, 2);
  if (at + 2 + size > fields.size()) return {};
  const auto begin = fields.begin() + static_cast<std::ptrdiff_t>(at + 2);
  return {begin, begin + static_cast<std::ptrdiff_t>(size)};
}

Connection::~Connection() {
  if (fd_ >= 0) close(fd_);
}

Connection& Connection::operator=(Connection&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

std::optional<Connection> Connection::To(const std::string& path) {
  Connection connection(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const sockaddr_un address = Address(path);
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  if (connect(connection.fd_, where, sizeof address) != 0) return std::nullopt;
  return connection;
}

bool Connection::Send(const Packet& packet) {
  return send(fd_, packet.data(), packet.size(), MSG_NOSIGNAL) >= 0;
}

std::optional<Heard> Connection::Next(int ms) {
  std::array<unsigned char, 1024> packet;
  if (!Ready(fd_, ms)) return std::nullopt;
  ssize_t size = recv(fd_, packet.data(), packet.size(), 0);
  if (size < 0) size = recv(fd_, packet.data(), packet.size(), 0);  // past a reset: the last words
  if (size < 8) return std::nullopt;
  Heard heard;
  heard.type = static_cast<std::uint16_t>(packet[0] | packet[1] << 8);
  heard.fields.assign(packet.begin() + 8, packet.begin() + size);
  return heard;
}

std::optional<Heard> Connection::Await(std::uint16_t type, int ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{ms};
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() < 0) return std::nullopt;
    auto heard = Next(static_cast<int>(left.count()));
    if (!heard || heard->type == type) return heard;
  }
}

Listener::Listener(const std::string& path)
    : path_(path), fd_(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
  unlink(path.c_str());
  const sockaddr_un address = Address(path);
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  if (bind(fd_, where, sizeof address) != 0 || listen(fd_, 64) != 0) {
    close(fd_);
    fd_ = -1;
  }
}

Listener::~Listener() {
  if (fd_ >= 0) close(fd_);
  unlink(path_.c_str());
}

std::optional<Connection> Listener::Accept(int ms) {
  if (!Ready(fd_, ms)) return std::nullopt;
  const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return std::nullopt;
  return Connection(fd);
}

}  // namespace stagger::first_protocol
