// Where the dashboard listens.
#pragma once

#include <string>

namespace stagger::daemon {

struct HttpAddress {
  std::string host;
  int port = 0;
  bool loopback() const;
  std::string ToString() const;  // "127.0.0.1:7878", "[::1]:7878"
};

}  // namespace stagger::daemon
