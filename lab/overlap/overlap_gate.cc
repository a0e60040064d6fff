#include "lab/overlap/overlap_gate.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "base/try.h"
#include "wire/channel.h"

namespace stagger::cli {
namespace {

// Longer than any probe waits; when we are gone the agents know it at once.
constexpr Duration kBound = std::chrono::seconds{60};

}  // namespace

Result<OverlapGate> OverlapGate::Listen(const std::string& socket, std::vector<wire::Gpu> gpus) {
  return OverlapGate(STAGGER_TRY(wire::Listen(socket, "")), std::move(gpus));
}

void OverlapGate::Expect(const std::array<pid_t, kCopies>& groups) {
  clients_.clear();
  for (int i = 0; i < kCopies; ++i) {
    copies_[i] = {};
    copies_[i].group = groups[i];
  }
}

void OverlapGate::Wait(TimePoint until, const std::vector<int>& others) {
  std::vector<pollfd> entries{{listener_.socket.get(), POLLIN, 0}};
  for (const auto& [id, client] : clients_) entries.push_back({client.socket.get(), POLLIN, 0});
  for (const int fd : others) entries.push_back({fd, POLLIN, 0});
  const Duration left = std::max(until - Now(), Duration{0});
  const timespec timeout{static_cast<time_t>(left.count() / 1'000'000'000),
                         static_cast<long>(left.count() % 1'000'000'000)};
  ppoll(entries.data(), entries.size(), &timeout, nullptr);
  for (auto it = clients_.begin(); it != clients_.end();) {
    it = Read(it->first, it->second) ? std::next(it) : clients_.erase(it);
  }
  Accept();
}

void OverlapGate::Accept() {
  while (true) {
    UniqueFd socket(
        accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) return;
    const Result<wire::PeerCredentials> peer = wire::PeerOf(socket.get());
    if (!peer || peer->uid != geteuid()) continue;
    Client client;
    client.socket = std::move(socket);
    // What a copy starts is of its group, unless it makes one of its own.
    const pid_t group = getpgid(peer->pid);
    for (int i = 0; i < kCopies; ++i) {
      if (copies_[i].group == group) client.copy = i;
    }
    clients_.emplace(++last_id_, std::move(client));
  }
}

bool OverlapGate::Read(int id, Client& client) {
  wire::Message message;
  while (true) {
    switch (wire::Receive(client.socket.get(), &message)) {
      case wire::Io::kOk:
        Handle(id, client, message);
        break;
      case wire::Io::kWouldBlock:
        return true;
      case wire::Io::kClosed:
      case wire::Io::kMalformed:
        return false;
    }
  }
}

// The process of a copy whose bodies are measured; null for others.
OverlapGate::Copy* OverlapGate::CopyOf(int id, const Client& client) {
  if (client.copy < 0 || copies_[client.copy].client != id) return nullptr;
  return &copies_[client.copy];
}

void OverlapGate::Handle(int id, Client& client, const wire::Message& message) {
  if (const auto* hello = std::get_if<wire::Hello>(&message)) {
    if (hello->version != wire::kProtocolVersion) {
      wire::Send(client.socket.get(), wire::Refused{"another version"});
      return;
    }
    wire::Welcome welcome;
    welcome.client = ClientId{static_cast<std::uint64_t>(id)};
    welcome.gpus = gpus_;
    wire::Send(client.socket.get(), welcome);
    wire::Send(client.socket.get(), wire::Config{true, kBound});
    client.greeted = true;
    return;
  }
  if (!client.greeted) return;
  Copy* copy = CopyOf(id, client);
  const auto* request = std::get_if<wire::Request>(&message);
  if (copy != nullptr && request != nullptr && request->call > Duration{0}) {
    Ended(*copy, request->post, request->call);
  }
  if (request != nullptr) return Requested(id, client, *request);
  if (copy == nullptr) return;
  if (const auto* release = std::get_if<wire::Release>(&message)) {
    copy->held = false;
    copy->body += release->body;
    copy->wait += release->wait;
    if (release->call > Duration{0}) {  // the call is over with its body
      copy->ended = true;
      copy->call = release->call;
    }
    FinishIfOver(*copy);
  } else if (const auto* over = std::get_if<wire::Ended>(&message)) {
    Ended(*copy, over->post, over->call);
  } else if (std::get_if<wire::Cancel>(&message) != nullptr) {
    copy->waiting.reset();
  }
}

void OverlapGate::Requested(int id, Client& client, const wire::Request& request) {
  if (client.copy >= 0 && copies_[client.copy].client < 0) copies_[client.copy].client = id;
  Copy* copy = CopyOf(id, client);
  if (copy == nullptr) {
    ++bystanders_;
    wire::Send(client.socket.get(), wire::Grant{request.seq, kBound, {}});
    return;
  }
  copy->waiting = request.seq;
  copy->asked = Now();
  copy->device = request.device;
  if (!copy->inferring) {
    copy->pre = request.since_call;
    return;
  }
  // One more body of the same inference: it goes on as it would alone.
  const int which = client.copy;
  Grant(which);
}

bool OverlapGate::AtTheGate(int copy) const {
  return copies_[copy].waiting.has_value() && !copies_[copy].inferring;
}

bool OverlapGate::Inferring(int copy) const { return copies_[copy].inferring; }

void OverlapGate::Grant(int which) {
  Copy& copy = copies_[which];
  const auto client = clients_.find(copy.client);
  if (!copy.waiting || client == clients_.end()) return;
  wire::Send(client->second.socket.get(), wire::Grant{*copy.waiting, kBound, {}});
  copy.waiting.reset();
  copy.held = true;
  ++copy.turns_without_end;
  if (!copy.inferring) {
    copy.inferring = true;
    copy.ended = false;
    copy.bodies = 0;
    copy.wait = copy.body = copy.post = copy.call = Duration{};
  }
  ++copy.bodies;
}

void OverlapGate::Ended(Copy& copy, Duration post, Duration call) {
  copy.ended = true;
  copy.post = post;
  copy.call = call;
  FinishIfOver(copy);
}

void OverlapGate::FinishIfOver(Copy& copy) {
  if (!copy.inferring || copy.held || !copy.ended) return;
  // Of several bodies the agent's post phase begins at the heaviest; the whole is the same.
  const Duration total = copy.bodies == 1 ? copy.body + copy.post
                                          : std::max(copy.call - copy.pre - copy.wait, copy.body);
  copy.finished = Finished{{ToMs(copy.body), ToMs(total)}, ToMs(copy.pre), copy.bodies};
  copy.inferring = false;
  copy.turns_without_end = 0;
}

std::optional<OverlapGate::Finished> OverlapGate::TakeFinished(int copy) {
  return std::exchange(copies_[copy].finished, std::nullopt);
}

}  // namespace stagger::cli
