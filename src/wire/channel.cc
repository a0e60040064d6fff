#include "wire/channel.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/try.h"
#include "wire/codec.h"
#include "wire/socket_address.h"

namespace stagger::wire {
namespace {

static_assert(kMaxSocketPath == sizeof(sockaddr_un::sun_path) - 1);

std::string_view Env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Whether $STAGGER_SERVER_UID lets a server of `uid` be trusted.
Result<bool> Allowed(uid_t uid) {
  const std::string_view allowed = Env("STAGGER_SERVER_UID");
  if (allowed.empty()) return false;
  if (allowed == "any") return true;
  uid_t named = 0;
  const auto [end, error] = std::from_chars(allowed.data(), allowed.data() + allowed.size(), named);
  if (error != std::errc{} || end != allowed.data() + allowed.size()) {
    return Error{"STAGGER_SERVER_UID is '" + std::string(allowed) +
                 "': expected a user's number, or 'any'"};
  }
  return uid == named;
}

Io SendBytes(int fd, std::span<const std::byte> packet) {
  while (true) {
    if (send(fd, packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Io::kOk;
    switch (errno) {
      case EINTR:
        continue;
      case EAGAIN:
      case ENOBUFS:  // the kernel is short of memory for a moment
      case ENOMEM:
        return Io::kWouldBlock;
      default:
        return Io::kClosed;
    }
  }
}

Io ReceiveInto(int fd, std::span<std::byte> buffer, Message* message, std::size_t* appended) {
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr header{};  // no control buffer: the kernel closes descriptors sent to us
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  ssize_t size = -1;
  for (bool reset_seen = false; size < 0;) {
    size = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size >= 0) break;
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return Io::kWouldBlock;
    // A peer that closes with mail unread resets us, and the kernel tells so before it hands out
    // what that peer sent last, which may be the reason (Refused). Ask once more.
    if (errno != ECONNRESET || reset_seen) return Io::kClosed;
    reset_seen = true;
  }
  if (size == 0) return Io::kClosed;  // or an empty packet, which ends the talk just as well
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Io::kMalformed;
  const auto packet = buffer.first(static_cast<std::size_t>(size));
  std::optional<Message> decoded = DecodeForeign(packet);
  if (!decoded) decoded = Decode(packet, appended);
  if (!decoded) return Io::kMalformed;
  *message = std::move(*decoded);
  return Io::kOk;
}

}  // namespace

Result<SocketAddress> AddressOf(const std::string& path) {
  if (path.empty()) return Error{"the socket's path is empty: name one with --socket"};
  if (path.find('\0') != std::string::npos) return Error{"the socket's path contains a NUL byte"};
  if (path.size() > kMaxSocketPath) {
    return Error{"socket path " + path + " has " + std::to_string(path.size()) +
                 " bytes, and at most " + std::to_string(kMaxSocketPath) +
                 " can be used: choose a shorter one with --socket or STAGGER_SOCKET"};
  }
  SocketAddress address;
  address.un.sun_family = AF_UNIX;
  std::memcpy(address.un.sun_path, path.data(), path.size());
  return address;
}

std::string DefaultSocketPath() {
  if (const auto path = Env("STAGGER_SOCKET"); !path.empty()) return std::string(path);
  // The XDG specification has relative paths ignored.
  if (const auto dir = Env("XDG_RUNTIME_DIR"); dir.starts_with('/')) {
    return std::string(dir) + "/stagger/daemon.sock";
  }
  return "/tmp/stagger-" + std::to_string(geteuid()) + "/daemon.sock";
}

Result<UniqueFd> Connect(const std::string& path) {
  const auto address = STAGGER_TRY(AddressOf(path));
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Error{std::string("cannot make a socket: ") + std::strerror(errno)};
  if (connect(fd.get(), address.get(), SocketAddress::size()) != 0) {
    switch (errno) {
      case ENOENT:
      case ECONNREFUSED:
        return Error{"no daemon listens at " + path + ": start one with 'staggerd', or name its " +
                     "socket with --socket or STAGGER_SOCKET"};
      case EAGAIN:
        return Error{"the daemon at " + path + " does not take connections at the moment"};
      case EACCES:
        return Error{"user " + std::to_string(geteuid()) + " may not use " + path +
                     ": see its permissions and its folder's"};
      case EPROTOTYPE:
        return Error{path + " is another program's socket: no daemon listens there"};
      default:
        return Error{"cannot connect to " + path + ": " + std::strerror(errno)};
    }
  }
  const auto peer = STAGGER_TRY(PeerOf(fd.get()));
  if (peer.uid != geteuid() && peer.uid != 0) {
    const auto allowed = STAGGER_TRY(Allowed(peer.uid));
    if (!allowed) {
      const std::string uid = std::to_string(peer.uid);
      return Error{"the server at " + path + " runs as user " + uid + ", not as " +
                   std::to_string(geteuid()) + " or root: set STAGGER_SERVER_UID=" + uid +
                   " if it is to be trusted"};
    }
  }
  return fd;
}

Result<PeerCredentials> PeerOf(int fd) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return Error{std::string("cannot read the peer's credentials: ") + std::strerror(errno)};
  }
  return PeerCredentials{.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
}

Io Send(int fd, const Message& message) {
  if (std::holds_alternative<Control>(message) || std::holds_alternative<ControlReply>(message)) {
    std::vector<std::byte> packet;
    return Encode(message, &packet) ? SendBytes(fd, packet) : Io::kMalformed;
  }
  std::array<std::byte, kMaxShortPacket> buffer;
  const std::size_t size = Encode(message, std::span(buffer));
  return size > 0 ? SendBytes(fd, std::span(buffer).first(size)) : Io::kMalformed;
}

Io Receive(int fd, Message* message, std::size_t* appended) {
  std::array<std::byte, kMaxPacket> buffer;
  return ReceiveInto(fd, buffer, message, appended);
}

Io ReceiveShort(int fd, Message* message) {
  std::array<std::byte, kMaxShortPacket> buffer;
  return ReceiveInto(fd, buffer, message, nullptr);
}

}  // namespace stagger::wire
