// A path as sockaddr_un, or why it cannot be one. Internal to wire.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "base/result.h"

namespace stagger::wire {

struct SocketAddress {
  sockaddr_un un{};
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&un); }
  static constexpr socklen_t size() { return sizeof(sockaddr_un); }
};

Result<SocketAddress> AddressOf(const std::string& path);

}  // namespace stagger::wire
