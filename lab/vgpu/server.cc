#include "lab/vgpu/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <map>
#include <vector>

#include "base/clock.h"
#include "base/try.h"
#include "lab/vgpu/driver_values.h"
#include "lab/vgpu/op_log.h"
#include "lab/vgpu/protocol.h"
#include "lab/vgpu/served_client.h"

namespace stagger::vgpu {
namespace {

// A timer fires some tens of microseconds late: it is set this much early, and the rest is spun.
constexpr Duration kSpin = std::chrono::microseconds{40};
// What nobody waits for is told together with what somebody does, or after this long.
constexpr Duration kGather = std::chrono::milliseconds{5};
// And so long before something ends that somebody waits for: what its app makes of the rest (listed
// kernels compute) is then done by the time, and does not make the awaited end late.
constexpr Duration kGatherAhead = std::chrono::microseconds{700};
constexpr int kPacketsPerTurn = 256;

Error Failed(const char* what) { return Error{fmt::format("{}: {}", what, std::strerror(errno))}; }

std::string ProgramOf(int pid) {
  std::ifstream file(fmt::format("/proc/{}/comm", pid));
  std::string program;
  std::getline(file, program);
  return program;
}

class Server {
 public:
  Server(const ServerConfig& config, UniqueFd listener, int stop_fd)
      : config_(config), listener_(std::move(listener)), stop_fd_(stop_fd) {
    for (const Model& model : config.devices) {
      const auto number = static_cast<std::uint32_t>(units_.size());
      units_.push_back(std::make_unique<ServedDevice>(number, model, config.mode));
    }
  }

  Result<void> Open() {
    if (!config_.log.empty()) {
      log_ = STAGGER_TRY(OpLog::Open(config_.log));
      for (const auto& unit : units_) {
        log_->Device(unit->number, unit->model, config_.mode, Now());
      }
    }
    epoll_.Reset(epoll_create1(EPOLL_CLOEXEC));
    timer_.Reset(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!epoll_.valid() || !timer_.valid()) return Failed("cannot make a timer");
    for (const int fd : {listener_.get(), timer_.get(), stop_fd_}) {
      if (!Watch(fd, EPOLLIN)) return Failed("cannot watch a descriptor");
    }
    prctl(PR_SET_TIMERSLACK, 1ul);
    return {};
  }

  void Run() {
    while (Wait()) {
      const TimePoint now = Now();
      for (const auto& unit : units_) unit->device.Advance(now);
      Collect();
      Deliver(now);
      DropBroken();
      WatchUnsent();
    }
    while (!clients_.empty()) Drop(clients_.begin());
  }

  ServerReport report() const { return report_; }

 private:
  using Clients = std::map<int, ServedClient>;  // by descriptor

  bool Watch(int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }

  // Sleeps until there is something to do, and reads what has come. False: time to end.
  bool Wait() {
    TimePoint wake = kNever;
    bool idle = true;
    for (const auto& unit : units_) {
      wake = std::min(wake, unit->device.NextWake());
      idle = idle && unit->device.idle();
    }
    gather_at_ = last_gather_ + kGather;
    if (wake != kNever && wake - kGatherAhead > last_gather_) {
      gather_at_ = std::min(gather_at_, wake - kGatherAhead);
    }
    if (!idle || gathered_) wake = std::min(wake, gather_at_);
    std::array<epoll_event, 64> events{};
    int timeout = -1;
    if (wake != kNever) {
      const TimePoint now = Now();
      if (wake - now <= kSpin) {
        while (Now() < wake) {
        }
        timeout = 0;
      } else {
        Arm(wake - kSpin);
      }
    }
    int count = epoll_wait(epoll_.get(), events.data(), events.size(), timeout);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == stop_fd_) return false;
      if (fd == timer_.get()) {
        std::uint64_t times;
        (void)!read(fd, &times, sizeof times);
      } else if (fd == listener_.get()) {
        Accept();
      } else if (const auto client = clients_.find(fd); client != clients_.end()) {
        if (events[static_cast<std::size_t>(i)].events & EPOLLOUT) client->second.SendUnsent();
        Read(&client->second);
      }
    }
    return true;
  }

  void Arm(TimePoint at) {
    const auto ns = std::max<std::int64_t>(at.since_epoch.count(), 1);
    itimerspec spec{};
    spec.it_value = {static_cast<time_t>(ns / 1'000'000'000),
                     static_cast<long>(ns % 1'000'000'000)};
    timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
  }

  void Accept() {
    while (true) {
      UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.valid()) return;
      ucred peer{};
      socklen_t size = sizeof peer;
      if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) continue;
      if (peer.uid != geteuid() && peer.uid != 0) continue;
      const int number = fd.get();
      if (!Watch(number, EPOLLIN)) continue;
      clients_.try_emplace(number, std::move(fd), peer.pid);
    }
  }

  void Read(ServedClient* client) {
    for (int i = 0; i < kPacketsPerTurn && !client->broken; ++i) {
      const ssize_t size = recv(client->socket.get(), packet_.data(), packet_.size(), 0);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (size <= 0) {
        client->broken = true;
        return;
      }
      if (!Take(client, std::span(packet_.data(), static_cast<std::size_t>(size)))) {
        client->broken = true;
        return;
      }
    }
  }

  // False: nonsense.
  bool Take(ServedClient* client, std::span<const std::byte> packet) {
    PacketReader reader(packet);
    Type type{};
    if (!PacketReader(packet).Get(&type)) return false;
    if (type == Type::kHello) {
      Hello hello;
      return reader.Get(&hello) && !client->greeted && Greet(client, hello);
    }
    if (!client->greeted) return false;
    const bool asks = type == Type::kAsk || type == Type::kSwitch;  // observers may
    if (!asks && client->key == 0) return false;
    switch (type) {
      case Type::kOps:
        return TakeOps(client, &reader);
      case Type::kName: {
        NameRecord name;
        return reader.Get(&name) && client->Name(name, reader.Text());
      }
      case Type::kLate: {
        LateRecord late;
        if (!reader.Get(&late)) return false;
        report_.lateness.Add(late);
        return true;
      }
      default:
        Note note;
        return reader.Get(&note) && TakeNote(client, note);
    }
  }

  bool TakeNote(ServedClient* client, const Note& note) {
    Answer answer;
    answer.token = note.id;
    switch (note.type) {
      case Type::kAsk:
        if (client->unit->lost) return false;
        TellFacts(client, note.id);
        return true;
      case Type::kSwitch:
        Switch(client->unit, note.value != 0);
        client->Tell(answer);
        return true;
      case Type::kWant:
        client->Want(note.id);
        return true;
      case Type::kHostDone:
        client->unit->device.HostDone(client->key, note.id,
                                      Stamp(static_cast<std::int64_t>(note.value)));
        return true;
      case Type::kReserve:
        answer.result = client->Reserve(note.value) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        client->Tell(answer);
        return true;
      case Type::kRelease:
        return client->Release(note.value);
      default:
        return false;
    }
  }

  bool Greet(ServedClient* client, const Hello& hello) {
    if (hello.protocol != kProtocol || hello.device >= units_.size()) return false;
    client->greeted = true;
    client->unit = units_[hello.device].get();
    ServedDevice& unit = *client->unit;
    Welcome welcome = unit.About();
    welcome.devices = static_cast<std::uint32_t>(units_.size());
    client->limit = std::min(hello.memory_limit, unit.model.memory_bytes);
    if (!hello.observer) {
      if (unit.lost) {
        welcome.result = CUDA_ERROR_DEVICE_UNAVAILABLE;
      } else if (unit.device.poisoned()) {
        welcome.result = CUDA_ERROR_MPS_CONNECTION_FAILED;
      } else {
        client->key = ++last_key_;
        unit.device.Join(client->key, hello.share);
        ++report_.processes;
        if (log_) log_->Came(unit.number, client->key, client->pid, ProgramOf(client->pid), Now());
      }
    }
    client->Tell(welcome);
    return true;
  }

  // A client that uses a device that is lost hears no more of it: its connection ends.
  void Switch(ServedDevice* unit, bool here) {
    if (unit->lost == !here) return;
    unit->lost = !here;
    switched_.push_back(unit);
    for (auto& [fd, other] : clients_) {
      if (!here && other.key != 0 && other.unit == unit) other.broken = true;
    }
  }

  void TellFacts(ServedClient* client, std::uint64_t token) {
    Facts facts;
    const auto counts = [client](const ServedClient& other) {
      return other.key != 0 && other.unit == client->unit;
    };
    facts.token = token;
    facts.total = client->unit->model.memory_bytes;
    facts.used = client->unit->used;
    facts.limit = client->limit;
    facts.used_here = client->used();
    facts.busy_percent = client->unit->BusyPercent(Now());
    for (const auto& [fd, other] : clients_) facts.processes += counts(other) ? 1 : 0;
    facts.processes = std::min<std::uint32_t>(facts.processes, 1024);
    PacketWriter writer;
    writer.Put(facts);
    std::uint32_t told = 0;
    for (const auto& [fd, other] : clients_) {
      if (!counts(other) || ++told > facts.processes) continue;
      writer.Put(ProcessFacts{other.used(), other.pid});
    }
    client->Send(writer.bytes());
  }

  bool TakeOps(ServedClient* client, PacketReader* reader) {
    OpsHeader header;
    if (!reader->Get(&header)) return false;
    const TimePoint at = Stamp(header.at_ns);
    for (std::uint32_t i = 0; i < header.count; ++i) {
      OpRecord record;
      if (!reader->Get(&record) || record.kind >= OpKind::kCount || record.fault >= Fault::kCount ||
          !client->knows(record.name) || record.after > reader->size() / 8) {
        return false;
      }
      after_.resize(record.after);
      for (std::uint64_t& id : after_) reader->Get(&id);
      if (record.fault == Fault::kServer) raise(SIGKILL);
      if (record.fault == Fault::kLost) {
        Switch(client->unit, false);
        return true;
      }
      client->unit->device.Submit(client->key, client->OpOf(record, config_.default_cost), after_,
                                  at);
    }
    return true;
  }

  // When an app says something happened; never in the future.
  static TimePoint Stamp(std::int64_t ns) { return std::min(TimePoint{Duration{ns}}, Now()); }

  void Collect() {
    for (const auto& unit : units_) Collect(unit.get());
  }

  void Collect(ServedDevice* unit) {
    for (const Outcome& outcome : unit->device.Take()) {
      const auto client = std::ranges::find(clients_, outcome.process,
                                            [](const auto& entry) { return entry.second.key; });
      if (client == clients_.end()) continue;
      ServedClient& owner = client->second;
      owner.AddDone(outcome);
      gathered_ = true;
      if (outcome.run_host) continue;
      ++report_.operations;
      report_.kernels += outcome.op.kind == OpKind::kKernel ? 1 : 0;
      if (log_ && outcome.op.kind != OpKind::kMarker) {
        log_->Ended(unit->number, outcome, owner.pid, owner.NameOf(outcome.op.name));
      }
    }
  }

  void Deliver(TimePoint now) {
    const bool all = now >= gather_at_;
    for (auto& [fd, client] : clients_) {
      if (client.has_done() && (all || client.urgent())) client.TellDone();
    }
    if (!all) return;
    last_gather_ = now;
    gathered_ = false;
    for (const auto& unit : units_) unit->Sample(now);
    if (log_) log_->Flush();
  }

  // For a client that has not read all, the server waits for room in its socket.
  void WatchUnsent() {
    for (auto& [fd, client] : clients_) {
      if (client.awaits_writing == client.has_unsent()) continue;
      client.awaits_writing = client.has_unsent();
      epoll_event event{};
      event.events = client.awaits_writing ? EPOLLIN | EPOLLOUT : EPOLLIN;
      event.data.fd = fd;
      epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
    }
  }

  void DropBroken() {
    for (auto it = clients_.begin(); it != clients_.end();) {
      const auto next = std::next(it);
      if (it->second.broken) Drop(it);
      it = next;
    }
    // Not before what ran there until now has been cut: nothing in the log ends on a lost device.
    for (const ServedDevice* unit : std::exchange(switched_, {})) {
      if (log_) log_->Switched(unit->number, !unit->lost, Now());
    }
  }

  void Drop(Clients::iterator it) {
    ServedClient& client = it->second;
    if (client.key != 0) {
      const TimePoint now = Now();
      client.unit->device.Leave(client.key, now);
      Collect(client.unit);  // what ended until then is in the log
      if (log_) {
        log_->Left(client.unit->number, client.key, client.pid, now);
        log_->Flush();
      }
      client.Release(client.used());
    }
    clients_.erase(it);
  }

  const ServerConfig& config_;
  UniqueFd listener_;
  const int stop_fd_;
  UniqueFd epoll_;
  UniqueFd timer_;
  std::vector<std::unique_ptr<ServedDevice>> units_;  // by number
  std::unique_ptr<OpLog> log_;
  Clients clients_;
  std::vector<ServedDevice*> switched_;  // and the log does not say so yet
  ProcessKey last_key_ = 0;
  bool gathered_ = false;  // somebody has something to be told
  TimePoint last_gather_{};
  TimePoint gather_at_{};
  ServerReport report_;
  std::vector<std::uint64_t> after_;  // kept for its memory only
  std::array<std::byte, kMaxPacket> packet_{};
};

}  // namespace

Result<ServerReport> Serve(const ServerConfig& config, UniqueFd listener, int stop_fd,
                           UniqueFd ready_fd) {
  // Too large for a stack.
  const auto server = std::make_unique<Server>(config, std::move(listener), stop_fd);
  if (const Result<void> opened = server->Open(); !opened) return opened.error();
  (void)!write(ready_fd.get(), "r", 1);
  ready_fd.Reset();
  server->Run();
  return server->report();
}

}  // namespace stagger::vgpu
