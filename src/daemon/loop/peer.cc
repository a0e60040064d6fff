#include "daemon/loop/peer.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/fd.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

namespace stagger::daemon {

namespace {

constexpr std::size_t kMaxCommand = 200;

std::string ReadStart(const std::string& path, std::size_t limit) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return {};
  std::string text(limit, '\0');
  const ssize_t n = read(fd.get(), text.data(), text.size());
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

std::string ProcPath(pid_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

bool HasGroup(int fd, const wire::PeerCredentials& peer, gid_t group) {
  if (peer.gid == group) return true;
  // The credentials name only the primary group; Linux 4.13 tells the others.
  std::vector<gid_t> groups(256);
  auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) != 0) return false;
  groups.resize(bytes / sizeof(gid_t));
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

// Length of the well-formed UTF-8 sequence at `i`, 0 if there is none.
std::size_t SequenceAt(const std::string& s, std::size_t i) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(s[k]); };
  const unsigned char lead = byte(i);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || i + length > s.size()) return 0;
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xC0) != 0x80) return 0;
  }
  if (lead == 0xC2 && byte(i + 1) < 0xA0) return 0;  // C1 controls: some terminals obey them
  if (lead == 0xE0 && byte(i + 1) < 0xA0) return 0;
  if (lead == 0xED && byte(i + 1) > 0x9F) return 0;
  if (lead == 0xF0 && byte(i + 1) < 0x90) return 0;
  if (lead == 0xF4 && byte(i + 1) > 0x8F) return 0;
  return length;
}

}  // namespace

Access AccessOf(int fd, const wire::PeerCredentials& peer, std::optional<gid_t> group) {
  if (peer.uid == geteuid() || peer.uid == 0) return Access::kOwner;
  if (group && HasGroup(fd, peer, *group)) return Access::kMember;
  return Access::kStranger;
}

std::string CommOf(pid_t pid) {
  if (pid <= 0) return {};
  std::string comm = ReadStart(ProcPath(pid, "comm"), 64);
  while (!comm.empty() && comm.back() == '\n') comm.pop_back();
  return comm;
}

std::string CommandOf(pid_t pid) {
  if (pid <= 0) return {};
  std::string command = ReadStart(ProcPath(pid, "cmdline"), kMaxCommand);
  while (!command.empty() && command.back() == '\0') command.pop_back();
  std::replace(command.begin(), command.end(), '\0', ' ');
  return command;
}

std::string Printable(std::string text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = SequenceAt(text, i);
    const auto byte = static_cast<unsigned char>(text[i]);
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      text[i] = '_';
      ++i;
    } else {
      i += length;
    }
  }
  return text;
}

}  // namespace stagger::daemon
