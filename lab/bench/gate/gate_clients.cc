#include "lab/bench/gate/gate_clients.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/clock.h"
#include "wire/channel.h"

namespace stagger::cli {
namespace {

constexpr int kPatienceMs = 5000;
constexpr std::size_t kPacket = 48;  // about what a request or a grant takes

bool Readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  int ready;
  do {
    ready = poll(&entry, 1, kPatienceMs);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

bool Say(int fd, TimePoint time) {
  const std::int64_t ns = time.since_epoch.count();
  return send(fd, &ns, sizeof ns, MSG_NOSIGNAL) == sizeof ns;
}

void Echo(int fd) {
  char packet[kPacket];
  for (ssize_t size; (size = recv(fd, packet, sizeof packet, 0)) > 0;) {
    if (send(fd, packet, static_cast<std::size_t>(size), MSG_NOSIGNAL) != size) return;
  }
}

void Obey(int fd, Role role, const std::string& socket) {
  Result<GateClient> client =
      GateClient::Connect(socket, role == Role::kWaiter ? "bench-waiter" : "bench-holder");
  if (!client) return;
  char order;
  while (recv(fd, &order, 1, 0) == 1) {
    if (!client->Request()) return;
    if (role == Role::kHolder) {
      if (!client->AwaitGrant() || !Say(fd, Now())) return;
      while (true) pause();
    }
    if (!Say(fd, Now()) || !client->AwaitGrant()) return;
    const TimePoint granted = Now();
    if (!client->Release(Now() - granted) || !Say(fd, granted)) return;
  }
}

}  // namespace

Result<GateClient> GateClient::Connect(const std::string& socket, const std::string& name) {
  Result<UniqueFd> fd = wire::Connect(socket);
  if (!fd) return fd.error();
  GateClient client(std::move(fd).value());
  wire::Hello hello;
  hello.spec.name = name;
  if (wire::Send(client.fd(), hello) != wire::Io::kOk) return Error{"the daemon took no greeting"};
  while (Readable(client.fd())) {
    wire::Message message;
    const wire::Io io = wire::Receive(client.fd(), &message);
    if (io == wire::Io::kWouldBlock) continue;
    if (io != wire::Io::kOk) break;
    if (const auto* refused = std::get_if<wire::Refused>(&message)) return Error{refused->reason};
    if (const auto* later = std::get_if<wire::RetryAfter>(&message)) return Error{later->reason};
    if (std::holds_alternative<wire::Welcome>(message)) return client;
  }
  return Error{"the daemon did not welcome a client"};
}

bool GateClient::Request() {
  wire::Request request;
  request.seq = TurnSeq{++seq_};
  request.device = wire::kCpuDevice;
  return wire::Send(fd(), request) == wire::Io::kOk;
}

std::optional<bool> GateClient::PollGrant() {
  while (true) {
    wire::Message message;
    switch (wire::Receive(fd(), &message)) {
      case wire::Io::kOk:
        if (const auto* grant = std::get_if<wire::Grant>(&message)) {
          if (grant->seq == TurnSeq{seq_}) return true;
        }
        continue;
      case wire::Io::kWouldBlock:
        return false;
      case wire::Io::kClosed:
      case wire::Io::kMalformed:
        return std::nullopt;
    }
  }
}

bool GateClient::AwaitGrant() {
  while (Readable(fd())) {
    const std::optional<bool> granted = PollGrant();
    if (!granted || *granted) return granted.has_value();
  }
  return false;
}

bool GateClient::Release(Duration body) {
  wire::Release release;
  release.seq = TurnSeq{seq_};
  release.body = body;
  release.call = body;
  return wire::Send(fd(), release) == wire::Io::kOk;
}

Result<Partner> Partner::Start(Role role, const std::string& socket) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return Error{fmt::format("socketpair: {}", std::strerror(errno))};
  }
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return Error{fmt::format("cannot start a process: {}", std::strerror(errno))};
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    ours.Reset();
    if (role == Role::kEcho) {
      Echo(theirs.get());
    } else {
      Obey(theirs.get(), role, socket);
    }
    _exit(0);
  }
  return Partner(pid, std::move(ours));
}

Partner::Partner(Partner&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), fd_(std::move(other.fd_)) {}

Partner::~Partner() {
  if (pid_ <= 0) return;
  Kill();
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Partner::Kill() { kill(pid_, SIGKILL); }

bool Partner::PingPong() {
  char packet[kPacket] = {};
  return send(fd_.get(), packet, sizeof packet, MSG_NOSIGNAL) == sizeof packet &&
         recv(fd_.get(), packet, sizeof packet, 0) == sizeof packet;
}

bool Partner::Order() {
  const char order = 'r';
  return send(fd_.get(), &order, 1, MSG_NOSIGNAL) == 1 && Answer().has_value();
}

std::optional<TimePoint> Partner::Answer() {
  std::int64_t ns = 0;
  if (!Readable(fd_.get()) || recv(fd_.get(), &ns, sizeof ns, 0) != sizeof ns) return std::nullopt;
  return TimePoint{Duration{ns}};
}

}  // namespace stagger::cli
