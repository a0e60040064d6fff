#include "executor/server.h"

#include <fmt/core.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "wire/text.h"

namespace stagger::executor {
namespace {

constexpr std::size_t kMostClients = 512;
// For shapes that are not fixed; memory comes only for what is used.
constexpr std::uint64_t kOpenRegion = std::uint64_t{64} << 20;
constexpr std::uint64_t kFirstReserve = std::uint64_t{256} << 10;

struct RegionSize {
  std::uint64_t capacity = 0;
  std::uint64_t reserve = 0;
};

RegionSize SizeFor(const std::vector<Port>& ports) {
  std::uint64_t bytes = wire::kLayoutBytes;
  bool fixed = true;
  for (const Port& port : ports) {
    if (port.fixed) bytes = wire::Aligned(bytes) + port.bytes;
    fixed = fixed && port.fixed;
  }
  if (fixed) return {bytes, bytes};
  return {bytes + kOpenRegion, bytes + kFirstReserve};
}

// Of the loop's thread, which is the one that infers where there is one.
Duration ThreadCpuTime() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

}  // namespace

struct Server::Client {
  UniqueFd fd;
  pid_t pid = -1;
  std::string name;
  std::shared_ptr<ModelEntry> entry;  // once opened, or while its model loads
  std::optional<Arena> arena;         // once opened
  std::optional<wire::Infer> waiting;
  TimePoint due = kNever;
  std::uint64_t arrival = 0;
  std::uint64_t runs = 0;
  bool complained = false;  // one line of log is enough
  bool gone = false;
};

Server::Server(wire::Listener listener, const ServerSettings& settings)
    : listener_(std::move(listener)),
      settings_(settings),
      budget_{.limit = settings.shared_memory, .taken = 0},
      models_(settings.model_memory, settings.threads) {}

Server::~Server() = default;

void Server::Run(int stop_fd) {
  std::vector<pollfd> entries;
  while (true) {
    entries.assign({{stop_fd, POLLIN, 0},
                    {models_.done_fd(), POLLIN, 0},
                    {listener_.socket.get(), POLLIN, 0}});
    for (const Client& client : clients_) entries.push_back({client.fd.get(), POLLIN, 0});
    int wait_ms = -1;
    if (Next() != nullptr) {
      wait_ms = static_cast<int>(std::ceil(std::max(ToMs(rests_until_ - Now()), 0.0)));
    }
    poll(entries.data(), entries.size(), wait_ms);
    if (entries[0].revents != 0) return;
    std::size_t at = 3;
    for (Client& client : clients_) {
      if (entries[at++].revents != 0) Read(client);
    }
    if (entries[1].revents != 0) {
      for (const auto& entry : models_.Collect()) Loaded(entry);
    }
    // One that was unloaded while somebody waited for it.
    for (Client& client : clients_) {
      if (client.waiting && client.entry->state == ModelEntry::State::kUnloaded) {
        models_.Need(*client.entry);
      }
    }
    if (entries[2].revents != 0) Accept();
    if (Client* next = Now() >= rests_until_ ? Next() : nullptr) RunOne(*next);
    for (auto client = clients_.begin(); client != clients_.end();) {
      const auto here = client++;
      if (here->gone) Remove(here);
    }
  }
}

void Server::Accept() {
  UniqueFd fd(accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return;
  const Result<wire::PeerCredentials> peer = wire::PeerOf(fd.get());
  // Whoever opens a lane has his runtime loaded into this process: nobody but the owner.
  if (!peer || (peer->uid != geteuid() && peer->uid != 0) || clients_.size() >= kMostClients) {
    const wire::ExecutorMessage refused = wire::Refused{"this executor takes no more, or not you"};
    wire::Send(fd.get(), refused);
    return;
  }
  Client& client = clients_.emplace_back();
  client.fd = std::move(fd);
  client.pid = peer->pid;
}

void Server::Read(Client& client) {
  // One message at a time: a lane that has more to say is heard in the next round.
  wire::ExecutorMessage message;
  wire::Descriptors descriptors;
  switch (wire::Receive(client.fd.get(), &message, &descriptors)) {
    case wire::Io::kOk:
      Handle(client, std::move(message), std::move(descriptors));
      return;
    case wire::Io::kWouldBlock:
      return;
    case wire::Io::kMalformed:
      Refuse(client, "not understood: is it the same version of Stagger?");
      return;
    case wire::Io::kClosed:
      client.gone = true;
      return;
  }
}

void Server::Handle(Client& client, wire::ExecutorMessage message, wire::Descriptors descriptors) {
  if (const auto* open = std::get_if<wire::Open>(&message); open != nullptr && !client.entry) {
    Open(client, *open, std::move(descriptors[0]));
  } else if (const auto* reserve = std::get_if<wire::Reserve>(&message);
             reserve != nullptr && client.arena) {
    if (!client.arena->ReserveInput(reserve->input_bytes)) {
      spdlog::warn("{}: no shared memory for {} bytes of inputs ({} of {} taken)", client.name,
                   reserve->input_bytes, budget_.taken, budget_.limit);
    }
    client.gone = wire::Send(client.fd.get(), wire::Reserved{client.arena->input_reserved()}) !=
                  wire::Io::kOk;
  } else if (const auto* infer = std::get_if<wire::Infer>(&message);
             infer != nullptr && client.arena && !client.waiting) {
    client.waiting = *infer;
    client.due = infer->due > Duration::zero() ? Now() + infer->due : kNever;
    client.arrival = ++arrivals_;
    models_.Need(*client.entry);
  } else if (std::holds_alternative<wire::Ask>(message)) {
    client.gone = wire::Send(client.fd.get(), wire::Told{Status()}) != wire::Io::kOk;
  } else {
    Refuse(client, "out of turn");
  }
}

void Server::Open(Client& client, const wire::Open& open, UniqueFd model) {
  client.name = open.name.empty() ? fmt::format("pid {}", client.pid) : open.name;
  std::shared_ptr<ModelEntry> entry = models_.Find(open);
  if (!entry) {
    if (!model.valid()) {
      client.gone = wire::Send(client.fd.get(), wire::WantModel{}) != wire::Io::kOk;
      return;
    }
    Result<std::shared_ptr<ModelEntry>> added = models_.Add(open, std::move(model));
    if (!added) return Refuse(client, added.error().message);
    entry = std::move(added).value();
    spdlog::info("{}: model {} ({} bytes) to be loaded", client.name,
                 ToHex(open.model).substr(0, 12), entry->job.bytes);
  }
  client.entry = entry;
  ++entry->users;
  if (entry->loads > 0) FinishOpen(client);
}

void Server::Loaded(const std::shared_ptr<ModelEntry>& entry) {
  for (Client& client : clients_) {
    if (client.entry != entry || client.gone) continue;
    if (entry->state == ModelEntry::State::kFailed) {
      Refuse(client, entry->error);
    } else if (!client.arena) {
      FinishOpen(client);
    }
  }
}

void Server::FinishOpen(Client& client) {
  const ModelEntry& entry = *client.entry;
  const RegionSize input = SizeFor(entry.inputs);
  const RegionSize output = SizeFor(entry.outputs);
  if (input.capacity > wire::kMaxArena / 2 || output.capacity > wire::kMaxArena / 2) {
    return Refuse(client, "its tensors are too large for shared memory");
  }
  Result<Arena> arena = Arena::Make(input.capacity, output.capacity, &budget_);
  if (!arena) return Refuse(client, arena.error().message);
  if (!arena->ReserveInput(input.reserve) || !arena->ReserveOutput(output.reserve)) {
    return Refuse(client, fmt::format("shared memory is used up: {} MB in all, {} MB taken "
                                      "(--shared-memory)",
                                      budget_.limit >> 20, budget_.taken >> 20));
  }
  client.arena.emplace(std::move(arena).value());
  const wire::Opened opened{.input_bytes = client.arena->input_bytes(),
                            .output_bytes = client.arena->output_bytes(),
                            .input_reserved = client.arena->input_reserved(),
                            .batch = entry.batch};
  const int descriptors[] = {client.arena->fd(), entry.bytes_fd.get(), entry.stub_fd.get()};
  client.gone = wire::Send(client.fd.get(), opened, descriptors) != wire::Io::kOk;
}

void Server::Refuse(Client& client, const std::string& reason) {
  spdlog::warn("{}: refused: {}", client.name.empty() ? "a client" : client.name, reason);
  const wire::ExecutorMessage refused = wire::Refused{wire::CleanText(reason, wire::kMaxText)};
  wire::Send(client.fd.get(), refused);
  client.gone = true;
}

Server::Client* Server::Next() {
  Client* next = nullptr;
  for (Client& client : clients_) {
    if (!client.waiting || client.gone || client.entry->state != ModelEntry::State::kReady) {
      continue;
    }
    if (next == nullptr ||
        std::pair(client.due, client.arrival) < std::pair(next->due, next->arrival)) {
      next = &client;
    }
  }
  return next;
}

void Server::RunOne(Client& client) {
  Arena& arena = *client.arena;
  ModelEntry& entry = *client.entry;
  wire::Inferred done{.seq = client.waiting->seq};
  client.waiting.reset();
  wire::Layout request;
  if (!wire::ReadLayout(arena.input(), &request) ||
      !wire::IsSound(request, arena.input_reserved())) {
    return Refuse(client, "a damaged request");
  }
  const Work work{
      .request = &request,
      .input = arena.input(),
      .output = arena.output(),
      .output_capacity = arena.output_bytes(),
      .reserve_output = [&](std::uint64_t bytes) { return arena.ReserveOutput(bytes); }};
  const TimePoint start = Now();
  const Duration worked = ThreadCpuTime();
  const Result<void> ran = entry.model->Run(work);
  done.body = Now() - start;
  if (settings_.share < 1) {
    // By its own CPU time: what another on the core took of it is not charged.
    rests_until_ = start + FromMs(ToMs(ThreadCpuTime() - worked) / settings_.share);
  }
  done.ok = ran.has_value();
  if (!ran && !std::exchange(client.complained, true)) {
    spdlog::warn("{}: an inference failed: {}", client.name, ran.error().message);
  }
  entry.needed = Now();
  ++entry.runs;
  ++client.runs;
  entry.body_total += done.body;
  client.gone = wire::Send(client.fd.get(), done) != wire::Io::kOk;
}

void Server::Remove(ClientAt client) {
  if (client->entry) models_.Drop(client->entry);
  clients_.erase(client);
}

std::string Server::Status() const {
  nlohmann::ordered_json status;
  status["device"] = settings_.device;
  status["share"] = settings_.share;
  status["pid"] = getpid();
  status["shared_memory_bytes"] = budget_.taken;
  status["model_memory_bytes"] = models_.loaded_bytes();
  status["models"] = nlohmann::json::array();
  for (const auto& [key, entry] : models_.all()) {
    constexpr const char* kStates[] = {"loading", "ready", "unloaded", "failed"};
    nlohmann::ordered_json model;
    model["hash"] = ToHex(entry->job.hash);
    model["options"] = entry->job.settings.options;
    model["runtime"] = entry->runtime_version;
    model["state"] = kStates[static_cast<int>(entry->state)];
    model["file_bytes"] = entry->job.bytes;
    model["memory_bytes"] = entry->memory;
    model["load_ms"] = ToMs(entry->load_time);
    model["loads"] = entry->loads;
    model["lanes"] = entry->users;
    model["inferences"] = entry->runs;
    model["body_ms"] =
        entry->runs == 0
            ? nlohmann::ordered_json(nullptr)
            : nlohmann::ordered_json(ToMs(entry->body_total) / static_cast<double>(entry->runs));
    model["batch"] = entry->batch;
    status["models"].push_back(std::move(model));
  }
  status["lanes"] = nlohmann::json::array();
  for (const Client& client : clients_) {
    if (!client.arena) continue;
    nlohmann::ordered_json lane;
    lane["name"] = client.name;
    lane["pid"] = client.pid;
    lane["inferences"] = client.runs;
    status["lanes"].push_back(std::move(lane));
    if (status["lanes"].size() == 200) break;  // one packet
  }
  return status.dump();
}

}  // namespace stagger::executor
