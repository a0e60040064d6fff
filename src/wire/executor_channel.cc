#include "wire/executor_channel.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "wire/frame.h"

namespace stagger::wire {

// The numbers are the format, as the daemon's are; nothing is appended.
#define STAGGER_MESSAGE(message, number) \
  template <>                            \
  constexpr Kind kKind<message> {        \
#message, number, false              \
  }
STAGGER_MESSAGE(Open, 64);
STAGGER_MESSAGE(WantModel, 65);
STAGGER_MESSAGE(Opened, 66);
STAGGER_MESSAGE(Reserve, 67);
STAGGER_MESSAGE(Reserved, 68);
STAGGER_MESSAGE(Infer, 69);
STAGGER_MESSAGE(Inferred, 70);
STAGGER_MESSAGE(StatusRequest, 71);
STAGGER_MESSAGE(StatusReply, 72);

template <typename A>
void Fields(A& a, Ref<A, Open> m) {
  a.Number(m.version, kExecutorVersion, kExecutorVersion);
  a.Raw(m.model);
  a.Bytes(m.options, kMaxSessionOptions);
  a.Bytes(m.runtime, kMaxRuntimePath);
  All(a, m.runtime_device, m.runtime_inode);
  a.Text(m.name, kMaxName);
}
template <typename A>
void Fields(A&, Ref<A, WantModel>) {}
template <typename A>
void Fields(A& a, Ref<A, Opened> m) {
  a.Number(m.input_bytes, std::uint64_t{1}, kMaxArena);
  a.Number(m.output_bytes, std::uint64_t{1}, kMaxArena);
  a.Number(m.input_reserved, std::uint64_t{0}, kMaxArena);
  All(a, m.batch);
}
template <typename A>
void Fields(A& a, Ref<A, Reserve> m) {
  a.Number(m.input_bytes, std::uint64_t{1}, kMaxArena);
}
template <typename A>
void Fields(A& a, Ref<A, Reserved> m) {
  a.Number(m.input_reserved, std::uint64_t{0}, kMaxArena);
}
template <typename A>
void Fields(A& a, Ref<A, Infer> m) {
  All(a, m.seq, m.due);
}
template <typename A>
void Fields(A& a, Ref<A, Inferred> m) {
  All(a, m.seq, m.ok, m.body);
}
template <typename A>
void Fields(A& a, Ref<A, StatusRequest> m) {
  a.Number(m.version, kExecutorVersion, kExecutorVersion);
}
template <typename A>
void Fields(A& a, Ref<A, StatusReply> m) {
  a.Bytes(m.chunk, kMaxChunk);
}

namespace {

// Takes all that came, so that none leaks; false if it is more than can be meant.
bool TakeDescriptors(msghdr* header, Descriptors* descriptors) {
  std::size_t count = 0;
  bool good = true;
  for (cmsghdr* part = CMSG_FIRSTHDR(header); part != nullptr; part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t here = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < here; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      UniqueFd owned(fd);
      if (count < descriptors->size()) {
        (*descriptors)[count++] = std::move(owned);
      } else {
        good = false;
      }
    }
  }
  return good;
}

Io ReceiveInto(int fd, std::span<std::byte> buffer, ExecutorMessage* message,
               Descriptors* descriptors, bool wait = false) {
  // Room for one more than is ever meant: a packet with more is refused, and none leaks.
  alignas(cmsghdr) std::array<char, CMSG_SPACE((kMaxDescriptors + 1) * sizeof(int))> control;
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (descriptors != nullptr) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
  }
  ssize_t size = -1;
  do {
    size = recvmsg(fd, &header, (wait ? 0 : MSG_DONTWAIT) | MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR && !wait);
  if (size < 0) return errno == EAGAIN || errno == EINTR ? Io::kWouldBlock : Io::kClosed;
  if (descriptors != nullptr && !TakeDescriptors(&header, descriptors)) return Io::kMalformed;
  if (size == 0) return Io::kClosed;
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Io::kMalformed;
  std::optional<ExecutorMessage> decoded =
      DecodeForExecutor(buffer.first(static_cast<std::size_t>(size)));
  if (!decoded) return Io::kMalformed;
  *message = std::move(*decoded);
  return Io::kOk;
}

}  // namespace

std::vector<std::byte> EncodeForExecutor(const ExecutorMessage& message) {
  std::vector<std::byte> packet(WritePacket(message, {}));
  WritePacket(message, packet);
  return packet;
}

std::optional<ExecutorMessage> DecodeForExecutor(std::span<const std::byte> packet) {
  std::size_t appended = 0;
  return ReadPacket<ExecutorMessage>(packet, &appended);
}

Io Send(int fd, const ExecutorMessage& message, std::span<const int> descriptors) {
  std::vector<std::byte> packet = EncodeForExecutor(message);
  if (packet.empty() || descriptors.size() > kMaxDescriptors) return Io::kMalformed;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  iovec part{.iov_base = packet.data(), .iov_len = packet.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  while (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? Io::kWouldBlock : Io::kClosed;
  }
  return Io::kOk;
}

Io Receive(int fd, ExecutorMessage* message, Descriptors* descriptors) {
  std::array<std::byte, kMaxPacket> buffer;
  return ReceiveInto(fd, buffer, message, descriptors);
}

Io ReceiveShort(int fd, ExecutorMessage* message, Descriptors* descriptors) {
  std::array<std::byte, kMaxShortPacket> buffer;
  return ReceiveInto(fd, buffer, message, descriptors);
}

Io AwaitShort(int fd, ExecutorMessage* message) {
  std::array<std::byte, kMaxShortPacket> buffer;
  return ReceiveInto(fd, buffer, message, nullptr, true);
}

}  // namespace stagger::wire
