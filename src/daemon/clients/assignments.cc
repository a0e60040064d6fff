#include "daemon/clients/assignments.h"

#include <fmt/format.h>

#include <utility>

#include "daemon/loop/peer.h"
#include "wire/messages.h"
#include "wire/text.h"

namespace stagger::daemon {

Result<void> CheckExecutorSocket(const std::string& socket) {
  if (socket.empty() || socket.front() != '/' || !wire::IsText(socket)) {
    return Error{
        fmt::format("executor '{}': expected the absolute path of a socket, or the name "
                    "of an executor that is here",
                    Printable(socket))};
  }
  if (socket.size() > wire::kMaxSocketPath) {
    return Error{fmt::format("executor '{}': its path has {} bytes, and a socket's has at most {}",
                             socket, socket.size(), wire::kMaxSocketPath)};
  }
  return {};
}

Result<void> Assignments::Set(const std::string& name, Assignment assignment) {
  if (name.empty() || name.size() > wire::kMaxName || !wire::IsText(name)) {
    return Error{fmt::format("name '{}': expected a stream's name, of at most {} bytes",
                             Printable(name.substr(0, wire::kMaxName)), wire::kMaxName)};
  }
  if (assignment.executors.size() > wire::kMaxExecutors) {
    return Error{fmt::format("{} executors for '{}': one app uses at most {}",
                             assignment.executors.size(), name, wire::kMaxExecutors)};
  }
  for (const std::string& socket : assignment.executors) {
    if (auto good = CheckExecutorSocket(socket); !good) return good;
  }
  if (by_name_.size() >= kMaxNames && !by_name_.contains(name)) {
    return Error{fmt::format("'{}': {} names have been assigned executors, which is the most", name,
                             kMaxNames)};
  }
  by_name_[name] = std::move(assignment);
  return {};
}

bool Assignments::SetStandby(const std::string& name, std::vector<std::string> sockets) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end() || found->second.standby == sockets) return false;
  if (sockets.size() > wire::kMaxExecutors) sockets.resize(wire::kMaxExecutors);
  found->second.standby = std::move(sockets);
  return true;
}

const Assignment* Assignments::Of(const StreamRecord& stream) const {
  auto found = by_name_.find(stream.name);
  if (found == by_name_.end()) found = by_name_.find(stream.asked_name);
  return found == by_name_.end() ? nullptr : &found->second;
}

}  // namespace stagger::daemon
