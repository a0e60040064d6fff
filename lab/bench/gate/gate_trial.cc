#include "lab/bench/gate/gate_trial.h"

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
#include <ctime>

#include "base/clock.h"
#include "base/try.h"
#include "launch/child_process.h"
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

// Each order: takes a turn, says so, and keeps it for ever.
void Hold(int fd, const std::string& socket) {
  Result<GateClient> client = GateClient::Connect(socket, "bench-holder");
  char order;
  if (!client || recv(fd, &order, 1, 0) != 1 || !client->Request()) return;
  if (!client->AwaitGrant() || !Say(fd, Now())) return;
  while (true) pause();
}

// Each order: requests a turn and says so; then says when it got it, and gives it back.
void Wait(int fd, const std::string& socket) {
  Result<GateClient> client = GateClient::Connect(socket, "bench-waiter");
  char order;
  while (client && recv(fd, &order, 1, 0) == 1) {
    if (!client->Request() || !Say(fd, Now()) || !client->AwaitGrant()) return;
    const TimePoint granted = Now();
    if (!client->Release(Now() - granted) || !Say(fd, granted)) return;
  }
}

// Before each sample everybody has come to rest, as between the inferences of a camera; a request
// in a tight loop would find the daemon awake and its caches warm.
constexpr timespec kRest{0, 300'000};
void Rest() { nanosleep(&kRest, nullptr); }

double Us(Duration d) { return static_cast<double>(d.count()) / 1000; }

// The n-th core of a set, alone.
cpu_set_t NthOf(const cpu_set_t& set, int n) {
  cpu_set_t one;
  CPU_ZERO(&one);
  for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set) && n-- == 0) CPU_SET(core, &one);
  }
  return one;
}

const Error kLost{"lost the daemon or a partner process in the middle of a measurement"};
const Error kInterrupted{"interrupted"};

constexpr int kClients = 6;
constexpr Duration kBody = std::chrono::milliseconds{10};

struct Stream {
  GateClient client;
  TimePoint due;  // the next request, or the end of the body
  enum { kIdle, kWaiting, kRunning } state = kIdle;
};

// Moves one stream on; false when its connection is lost.
bool Advance(Stream& stream, Duration period, TimePoint* next_frame) {
  const TimePoint now = Now();
  if (stream.state == Stream::kIdle && now >= stream.due) {
    *next_frame = stream.due + period;
    stream.state = Stream::kWaiting;
    if (!stream.client.Request()) return false;
  }
  if (stream.state == Stream::kWaiting) {
    const std::optional<bool> granted = stream.client.PollGrant();
    if (!granted) return false;
    if (*granted) {
      stream.state = Stream::kRunning;
      stream.due = Now() + kBody;
    }
  } else if (stream.state == Stream::kRunning && now >= stream.due) {
    stream.state = Stream::kIdle;
    stream.due = std::max(*next_frame, now);
    if (!stream.client.Release(kBody)) return false;
  }
  return true;
}

}  // namespace

Result<GateClient> GateClient::Connect(const std::string& socket, const std::string& name) {
  UniqueFd fd = STAGGER_TRY(wire::Connect(socket));
  GateClient client(std::move(fd));
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

Result<Partner> Partner::Start(const std::function<void(int fd)>& run) {
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
    run(theirs.get());
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

bool Partner::PingPong(char first) {
  char packet[kPacket] = {first};
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

GateTrial::GateTrial(std::string socket, pid_t daemon, GateClient client, Partner echo,
                     Partner waiter)
    : socket_(std::move(socket)),
      daemon_(daemon),
      client_(std::move(client)),
      echo_(std::move(echo)),
      waiter_(std::move(waiter)) {
  CPU_ZERO(&all_);
  sched_getaffinity(0, sizeof all_, &all_);
}

Result<GateTrial> GateTrial::Prepare(const std::string& socket, pid_t daemon) {
  // Partners first: they must not inherit our connection.
  Partner echo = STAGGER_TRY(Partner::Start(Echo));
  Partner waiter = STAGGER_TRY(Partner::Start([&](int fd) { Wait(fd, socket); }));
  return GateTrial(socket, daemon, STAGGER_TRY(GateClient::Connect(socket, "bench")),
                   std::move(echo), std::move(waiter));
}

Duration GateTrial::PartnersCpuTime() const {
  Duration total{};
  for (const Partner* partner : {&echo_, &waiter_}) {
    total += ProcessCpuTime(partner->pid()).value_or(Duration{});
  }
  return total;
}

Result<void> GateTrial::PinTo(const cpu_set_t& ours, const cpu_set_t& theirs) {
  for (const pid_t pid : {pid_t{0}, echo_.pid(), waiter_.pid(), daemon_}) {
    if (sched_setaffinity(pid, sizeof(cpu_set_t), pid == 0 ? &ours : &theirs) != 0) {
      return Error{fmt::format("cannot place process {} on a core: {}", pid, std::strerror(errno))};
    }
  }
  return {};
}

Result<GateSamples> GateTrial::Sample(int samples, StopSignal& stop) {
  GateSamples result;
  for (int i = 0; i < samples; ++i) {
    if (stop.Raised()) return kInterrupted;
    Rest();
    const TimePoint start = Now();
    if (!echo_.PingPong()) return kLost;
    result.ping_pong.push_back(Us(Now() - start));
  }
  for (int i = 0; i < samples; ++i) {
    if (stop.Raised()) return kInterrupted;
    Rest();
    const TimePoint start = Now();
    if (!client_.Request() || !client_.AwaitGrant()) return kLost;
    const TimePoint granted = Now();
    result.grant.push_back(Us(granted - start));
    if (!client_.Release(Now() - granted)) return kLost;
  }
  for (int i = 0; i < samples; ++i) {
    if (stop.Raised()) return kInterrupted;
    if (!client_.Request() || !client_.AwaitGrant()) return kLost;
    const TimePoint held = Now();
    if (!waiter_.Order()) return kLost;
    Rest();
    const TimePoint released = Now();
    if (!client_.Release(released - held)) return kLost;
    const std::optional<TimePoint> granted = waiter_.Answer();
    if (!granted) return kLost;
    result.hand_over.push_back(Us(*granted - released));
  }
  return result;
}

Result<GateBlock> GateTrial::RunBlock(int samples, int kills, StopSignal& stop) {
  GateBlock block;
  cpu_set_t first = NthOf(all_, 0);
  if (auto pinned = PinTo(first, first); !pinned) return pinned.error();
  GateSamples together = STAGGER_TRY(Sample(samples, stop));
  block.together = std::move(together);
  if (CPU_COUNT(&all_) > 1) {
    if (auto pinned = PinTo(first, NthOf(all_, 1)); !pinned) return pinned.error();
    GateSamples apart = STAGGER_TRY(Sample(samples, stop));
    block.apart = std::move(apart);
  }
  if (auto pinned = PinTo(all_, all_); !pinned) return pinned.error();
  for (int i = 0; i < kills; ++i) {
    if (stop.Raised()) return kInterrupted;
    Partner holder = STAGGER_TRY(Partner::Start([&](int fd) { Hold(fd, socket_); }));
    if (!holder.Order() || !waiter_.Order()) return kLost;
    Rest();
    const TimePoint killed = Now();
    holder.Kill();
    const std::optional<TimePoint> granted = waiter_.Answer();
    if (!granted) return kLost;
    block.killed.push_back(Us(*granted - killed));
  }
  return block;
}

Result<std::vector<double>> DaemonShare(const std::string& socket, pid_t daemon, int rate,
                                        int seconds, StopSignal& stop) {
  const Duration period = std::chrono::nanoseconds{1'000'000'000LL * kClients / rate};
  const TimePoint start = Now();
  std::vector<Stream> streams;
  std::vector<TimePoint> next_frames(kClients, start);
  for (int i = 0; i < kClients; ++i) {
    streams.push_back({STAGGER_TRY(GateClient::Connect(socket, fmt::format("bench-{}", i + 1))),
                       start + period * i / kClients, Stream::kIdle});
  }
  std::vector<double> shares;
  TimePoint mark = Now();
  std::optional<Duration> before = ProcessCpuTime(daemon);
  while (static_cast<int>(shares.size()) < seconds) {
    if (stop.Raised()) return kInterrupted;
    TimePoint wake = mark + std::chrono::seconds{1};
    std::vector<pollfd> entries{{stop.fd(), POLLIN, 0}};
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (!Advance(streams[i], period, &next_frames[i])) return kLost;
      if (streams[i].state == Stream::kWaiting) {
        entries.push_back({streams[i].client.fd(), POLLIN, 0});
      } else {
        wake = std::min(wake, streams[i].due);
      }
    }
    const Duration left = std::max(wake - Now(), Duration::zero());
    const timespec wait{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
    ppoll(entries.data(), entries.size(), &wait, nullptr);
    if (Now() - mark < std::chrono::seconds{1}) continue;
    const std::optional<Duration> after = ProcessCpuTime(daemon);
    if (!before || !after) return Error{"cannot read the daemon's CPU time from /proc"};
    shares.push_back(ToMs(*after - *before) / ToMs(Now() - mark));
    before = after;
    mark = Now();
  }
  return shares;
}

}  // namespace stagger::cli
