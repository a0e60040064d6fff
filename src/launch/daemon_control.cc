#include "launch/daemon_control.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "base/try.h"
#include "documents/json.h"
#include "wire/channel.h"

namespace stagger::cli {
namespace {

// An answer longer than this is not one: status of hundreds of streams takes well under a MiB.
constexpr std::size_t kMaxAnswer = 16 * 1024 * 1024;

bool WaitFor(int fd, short events, TimePoint deadline) {
  while (true) {
    const Duration left = deadline - Now();
    if (left <= Duration::zero()) return false;
    pollfd entry{fd, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(ToMs(left)) + 1);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

}  // namespace

Result<nlohmann::json> AskDaemon(const std::string& socket, const std::string& verb,
                                 const nlohmann::json& body, Duration timeout) {
  const UniqueFd fd = STAGGER_TRY(wire::Connect(socket));
  const TimePoint deadline = Now() + timeout;

  wire::Control control;
  control.verb = verb;
  if (!body.is_null()) control.body = body.dump();
  wire::Io io = wire::Send(fd.get(), control);
  while (io == wire::Io::kWouldBlock && WaitFor(fd.get(), POLLOUT, deadline)) {
    io = wire::Send(fd.get(), control);
  }
  // A daemon that has no room says so and hangs up, perhaps before it was asked.
  if (io != wire::Io::kOk && io != wire::Io::kClosed) {
    return Error{fmt::format("the daemon at {} takes no requests", socket)};
  }

  std::string text;
  while (true) {
    wire::Message message;
    switch (wire::Receive(fd.get(), &message)) {
      case wire::Io::kWouldBlock:
        if (!WaitFor(fd.get(), POLLIN, deadline)) {
          return Error{fmt::format("the daemon at {} did not answer '{}' within {:.0f} s", socket,
                                   verb, ToMs(timeout) / 1000)};
        }
        continue;
      case wire::Io::kClosed:
        return Error{fmt::format("the daemon at {} closed the connection without answering '{}'",
                                 socket, verb)};
      case wire::Io::kMalformed:
        return Error{
            fmt::format("the daemon at {} does not speak this version's protocol", socket)};
      case wire::Io::kOk:
        break;
    }
    if (const auto* refused = std::get_if<wire::Refused>(&message)) return Error{refused->reason};
    if (const auto* later = std::get_if<wire::RetryAfter>(&message)) return Error{later->reason};
    const auto* reply = std::get_if<wire::ControlReply>(&message);
    if (reply == nullptr || text.size() + reply->chunk.size() > kMaxAnswer) {
      return Error{fmt::format("the daemon at {} gave an answer that makes no sense", socket)};
    }
    if (!reply->ok) return Error{reply->chunk};
    text += reply->chunk;
    if (reply->more) continue;
    if (text.empty()) return nlohmann::json::object();
    nlohmann::json answer = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (answer.is_discarded()) {
      return Error{fmt::format("the daemon at {} answered '{}' with broken JSON", socket, verb)};
    }
    return answer;
  }
}

Result<documents::Status> AskStatus(const std::string& socket, Duration timeout) {
  const nlohmann::json status = STAGGER_TRY(AskDaemon(socket, "status", nullptr, timeout));
  return documents::Read<documents::Status>(status);
}

Result<void> DaemonListens(const std::string& socket) {
  const Result<UniqueFd> connected = wire::Connect(socket);
  if (!connected) return connected.error();
  return {};
}

nlohmann::json ConcurrencyArgument(const std::string& text) {
  if (text == "auto") return text;
  return std::stoi(text);
}

}  // namespace stagger::cli
