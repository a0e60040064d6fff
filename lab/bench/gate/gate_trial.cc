#include "lab/bench/gate/gate_trial.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/clock.h"
#include "launch/child_process.h"

namespace stagger::cli {
namespace {

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
  Result<Partner> echo = Partner::Start(Role::kEcho, socket);
  if (!echo) return echo.error();
  Result<Partner> waiter = Partner::Start(Role::kWaiter, socket);
  if (!waiter) return waiter.error();
  Result<GateClient> client = GateClient::Connect(socket, "bench");
  if (!client) return client.error();
  return GateTrial(socket, daemon, std::move(client).value(), std::move(echo).value(),
                   std::move(waiter).value());
}

Duration GateTrial::PartnersCpuTime() const {
  Duration total{};
  for (const Partner* partner : {&echo_, &waiter_}) {
    total += ProcessCpuTime(partner->pid()).value_or(Duration{});
  }
  return total;
}

Result<void> GateTrial::Place(const cpu_set_t& ours, const cpu_set_t& theirs) {
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
  if (auto placed = Place(first, first); !placed) return placed.error();
  Result<GateSamples> together = Sample(samples, stop);
  if (!together) return together.error();
  block.together = std::move(together).value();
  if (CPU_COUNT(&all_) > 1) {
    if (auto placed = Place(first, NthOf(all_, 1)); !placed) return placed.error();
    Result<GateSamples> apart = Sample(samples, stop);
    if (!apart) return apart.error();
    block.apart = std::move(apart).value();
  }
  if (auto placed = Place(all_, all_); !placed) return placed.error();
  for (int i = 0; i < kills; ++i) {
    if (stop.Raised()) return kInterrupted;
    Result<Partner> holder = Partner::Start(Role::kHolder, socket_);
    if (!holder) return holder.error();
    if (!holder->Order() || !waiter_.Order()) return kLost;
    Rest();
    const TimePoint killed = Now();
    holder->Kill();
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
    Result<GateClient> client = GateClient::Connect(socket, fmt::format("bench-{}", i + 1));
    if (!client) return client.error();
    streams.push_back({std::move(client).value(), start + period * i / kClients, Stream::kIdle});
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
