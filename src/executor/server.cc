#include "executor/server.h"

#include <fmt/core.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <utility>

#include "base/clock.h"
#include "batching/batch_choice.h"
#include "wire/text.h"

namespace stagger::executor {
namespace {

constexpr std::size_t kMostClients = 512;
// For shapes that are not fixed; memory comes only for what is used.
constexpr std::uint64_t kOpenRegion = std::uint64_t{64} << 20;
constexpr std::uint64_t kFirstReserve = std::uint64_t{256} << 10;
// Inputs and outputs of a batch, in memory of our own.
constexpr std::uint64_t kLargestBatch = std::uint64_t{256} << 20;
// Where so many were served and others always waited, requests come faster than they are served;
// apps that start together do that for a moment too.
constexpr int kSaturated = 64;

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
  wire::Layout request;  // of what waits: ours, checked
  int items = 0;         // that it brings to a batch; 0: it runs alone
  bool alone = false;    // its last request failed, also by itself: no company until one succeeds
  Duration deadline{};   // from a request's coming; 0: not stated
  TimePoint due = kNever;
  std::uint64_t arrival = 0;
  std::uint64_t runs = 0;
  bool complained = false;  // one line of log is enough
  bool gone = false;
};

Server::Server(wire::Listener listener, ServerSettings settings)
    : listener_(std::move(listener)),
      settings_(std::move(settings)),
      budget_{.limit = settings_.shared_memory, .taken = 0},
      models_(settings_.target) {}

Server::~Server() = default;

void Server::Run(int stop_fd) {
  std::vector<pollfd> entries;
  while (true) {
    entries.assign({{stop_fd, POLLIN, 0},
                    {models_.done_fd(), POLLIN, 0},
                    {listener_.socket.get(), POLLIN, 0}});
    for (const Client& client : clients_) entries.push_back({client.fd.get(), POLLIN, 0});
    int wait_ms = -1;
    if (awaits_ == nullptr && Next() != nullptr) {
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
    if (entries[2].revents != 0) Accept();
    if (Client* next = Now() >= rests_until_ ? Next() : nullptr) {
      models_.Need(*next->entry);
      const bool loads = next->entry->state == ModelEntry::State::kLoading;
      const bool loaded = std::exchange(awaits_, loads ? next : nullptr) == next;
      if (!loads) Round(*next, loaded ? next->entry->load_time : Duration{});
    }
    for (auto client = clients_.begin(); client != clients_.end();) {
      const auto here = client++;
      if (here->gone) Remove(here);
    }
  }
}

// One round: an inference, or a batch. How long the device was taken by it, and how long it would
// have been without others on it. `load`: what was done of it before, for which it rests, too.
void Server::Round(Client& first, Duration load) {
  const bool one_thread = settings_.target.threads == 1 && !settings_.target.gpu;
  const TimePoint start = Now();
  const Duration before = one_thread ? ThreadCpuTime() : Duration{};
  served_.clear();
  Serve(first);
  const TimePoint end = Now();
  Duration own = end - start;
  // By its own CPU time: what another on the core took of it is not charged.
  if (one_thread) own = FromMs(ToMs(ThreadCpuTime() - before) / settings_.share);
  const Duration rest = FromMs(ToMs(load) / settings_.share) - load;
  if (settings_.share < 1) rests_until_ = start + own + rest;
  const auto items = static_cast<Duration::rep>(served_.size());
  for (const std::string& app : served_) measurements_.Add(app, own / items, (end - start) / items);
}

void Server::Accept() {
  UniqueFd fd(accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return;
  const Result<wire::PeerCredentials> peer = wire::PeerOf(fd.get());
  // A client that opens a slot has its runtime loaded into this process: the owner's only.
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
  // One message at a time: a slot that has more to say is heard in the next round.
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
    if (!wire::ReadLayout(client.arena->input(), &client.request) ||
        !wire::IsSound(client.request, client.arena->input_reserved())) {
      return Refuse(client, "a damaged request");
    }
    const ModelEntry& entry = *client.entry;
    client.items = entry.batch ? ItemsOf(entry.inputs, entry.outputs, client.request) : 0;
    client.waiting = *infer;
    client.deadline = infer->due;
    client.due = infer->due > Duration::zero() ? Now() + infer->due : kNever;
    client.arrival = ++arrivals_;
  } else if (std::holds_alternative<wire::StatusRequest>(message)) {
    client.gone = wire::Send(client.fd.get(), wire::StatusReply{Status()}) != wire::Io::kOk;
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
  if (awaits_ != nullptr && awaits_->waiting && !awaits_->gone) {
    return awaits_->entry->state == ModelEntry::State::kFailed ? nullptr : awaits_;
  }
  Client* next = nullptr;
  for (Client& client : clients_) {
    if (!client.waiting || client.gone || client.entry->state == ModelEntry::State::kFailed) {
      continue;
    }
    if (next == nullptr ||
        std::pair(client.due, client.arrival) < std::pair(next->due, next->arrival)) {
      next = &client;
    }
  }
  return next;
}

// As far as is known; 0 before anything is.
Duration Server::Alone(const Client& client) const {
  const batching::BatchCurve& curve = client.entry->curve;
  const int items = std::max(client.items, 1);
  if (const auto known = curve.Typical(items)) return *known;
  return curve.Typical(1).value_or(Duration{}) * items;
}

// How long a batch may hold up the next request.
Duration Server::Patience() const {
  Duration least = Duration::max();
  for (const Client& client : clients_) {
    if (client.gone || client.deadline == Duration{}) continue;
    least = std::min(least, client.deadline - Alone(client));
  }
  return least;
}

// An inference that waits for its turn holds up later requests, which may be due earlier; so it
// counts as due no later than any request that could come after it.
void Server::TellDue(TimePoint due) const {
  if (!settings_.due_in) return;
  const TimePoint now = Now();
  for (const Client& client : clients_) {
    if (client.gone || client.deadline == Duration{}) continue;
    due = std::min(due, now + client.deadline);
  }
  settings_.due_in(due == kNever ? std::nullopt : std::optional(std::max(due - now, Duration{})));
}

int Server::MaxItems(const ModelEntry& entry) const {
  if (!entry.batch || !entry.why_no_batches.empty()) return 1;
  const std::uint64_t fit = kLargestBatch / BytesPerItem(entry.inputs, entry.outputs);
  return static_cast<int>(std::min<std::uint64_t>(fit, settings_.max_batch));
}

// The one that is due first, with others of its model if that helps.
void Server::Serve(Client& first) {
  ModelEntry& entry = *first.entry;
  const auto waits = [](const Client& client) { return client.waiting && !client.gone; };
  streak_ = std::ranges::count_if(clients_, waits) > 1 ? streak_ + 1 : 0;
  const batching::BatchLimits limits{
      .max_items = MaxItems(entry), .patience = Patience(), .saturated = streak_ >= kSaturated};
  if (limits.max_items <= 1 || first.items == 0 || first.alone) {
    RunOne(first);
    return;
  }
  std::vector<Client*> waiting;
  for (Client& client : clients_) {
    if (client.waiting && !client.gone && client.entry->state == ModelEntry::State::kReady) {
      waiting.push_back(&client);
    }
  }
  std::ranges::sort(waiting, {}, [](const Client* c) { return std::pair(c->due, c->arrival); });
  std::vector<batching::WaitingRequest> requests;
  for (const Client* client : waiting) {
    const bool joins = client->entry == first.entry && client->items > 0 && !client->alone &&
                       GoTogether(client->request, first.request);
    requests.push_back({client->due, Alone(*client), std::max(client->items, 1), joins});
  }
  const batching::BatchChoice choice = batching::ChooseBatch(requests, entry.curve, limits, Now());
  if (choice.count <= 1) {
    RunOne(first);
    return;
  }
  std::vector<Client*> members;
  for (std::size_t i = 0; members.size() < choice.count; ++i) {
    if (requests[i].joins) members.push_back(waiting[i]);
  }
  RunBatch(entry, members, choice.items);
}

Work Server::WorkOf(Client& client) {
  Arena& arena = *client.arena;
  return {.request = &client.request,
          .input = arena.input(),
          .output = arena.output(),
          .output_capacity = arena.output_bytes(),
          .reserve_output = [&](std::uint64_t bytes) { return arena.ReserveOutput(bytes); }};
}

void Server::RunBatch(ModelEntry& entry, const std::vector<Client*>& members, int items) {
  std::vector<Work> parts;
  parts.reserve(members.size());
  for (Client* client : members) parts.push_back(WorkOf(*client));
  TellDue(members.front()->due);  // they are in the order of their deadlines
  const TimePoint start = Now();
  const Result<void> ran = batch_.Run(*entry.model, parts);
  const Duration took = Now() - start;
  std::string wrong = ran ? "" : ran.error().message;
  // A size's first batch: results are compared, not believed.
  if (ran && !entry.curve.Tried(items) && !batch_.SameAlone(*entry.model, parts.back())) {
    wrong = fmt::format("in a batch of {} a result is another than alone", items);
  }
  if (!wrong.empty()) {
    bool all_worked = true;
    for (Client* client : members) all_worked = RunOne(*client) && all_worked;
    // Where one of them fails by itself, it was that one.
    if (all_worked) {
      spdlog::warn("model {}: no more batches: {}", ToHex(entry.job.hash).substr(0, 12), wrong);
      entry.why_no_batches = wire::CleanText(wrong, wire::kMaxText);
    }
    return;
  }
  entry.curve.Add(items, took);
  entry.needed = Now();
  ++entry.batches;
  entry.batched += members.size();
  entry.runs += members.size();
  entry.body_total += took;
  for (Client* client : members) {
    const wire::Inferred done{.seq = client->waiting->seq, .ok = true, .body = took};
    client->waiting.reset();
    ++client->runs;
    served_.push_back(client->name);
    client->gone = wire::Send(client->fd.get(), done) != wire::Io::kOk;
  }
}

// Whether it worked; the client hears of it either way.
bool Server::RunOne(Client& client) {
  ModelEntry& entry = *client.entry;
  wire::Inferred done{.seq = client.waiting->seq};
  client.waiting.reset();
  const Work work = WorkOf(client);
  TellDue(client.due);
  const TimePoint start = Now();
  const Result<void> ran = entry.model->Run(work);
  done.body = Now() - start;
  done.ok = ran.has_value();
  client.alone = !done.ok;
  if (done.ok) entry.curve.Add(std::max(client.items, 1), done.body);
  if (!ran && !std::exchange(client.complained, true)) {
    spdlog::warn("{}: an inference failed: {}", client.name, ran.error().message);
  }
  entry.needed = Now();
  ++entry.runs;
  ++client.runs;
  served_.push_back(client.name);
  entry.body_total += done.body;
  client.gone = wire::Send(client.fd.get(), done) != wire::Io::kOk;
  return done.ok;
}

void Server::Remove(ClientAt client) {
  if (client->entry) models_.Drop(client->entry);
  if (awaits_ == &*client) awaits_ = nullptr;
  const std::string name = std::move(client->name);
  clients_.erase(client);
  if (std::ranges::count(clients_, name, &Client::name) == 0) measurements_.Forget(name);
  if (models_.all().empty()) batch_ = Batch();  // its memory
}

std::vector<documents::ExecutorSlot> Server::Slots(std::size_t most) const {
  std::vector<documents::ExecutorSlot> slots;
  for (const Client& client : clients_) {
    if (slots.size() == most) break;
    if (client.arena) slots.push_back({client.name, client.pid, client.runs});
  }
  return slots;
}

}  // namespace stagger::executor
