// The process at the other end of a socket: may it come in, and what is its name. Reads /proc only.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "wire/channel.h"

namespace stagger::daemon {

// The daemon's own user and root own it; members of the configured group may only take part.
enum class Access { kOwner, kMember, kStranger };

Access AccessOf(int fd, const wire::PeerCredentials& peer, std::optional<gid_t> group);

std::string CommOf(pid_t pid);     // short name; "" if the process cannot be seen
std::string CommandOf(pid_t pid);  // its arguments, at most 200 bytes

// Control characters and broken UTF-8 replaced, so that a name cannot forge log lines.
std::string Printable(std::string text);

}  // namespace stagger::daemon
