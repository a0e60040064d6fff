// The dashboard, the status document and the metrics over HTTP, read-only. Runs on threads of its
// own; sees the daemon only through the snapshot board. Must never touch the loop's state.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "daemon/view/http_address.h"
#include "daemon/view/snapshot_board.h"

namespace stagger::daemon {

class HttpServer {
 public:
  // Listens and serves at once. Port 0: any free one. With `or_any_port`, a taken port is
  // replaced by a free one.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpAddress& address, bool or_any_port,
                                                   SnapshotBoard* board);
  ~HttpServer();

  const HttpAddress& address() const;  // as bound

  // Takes no more requests. Those under way may still run; they end with the process.
  void StopAccepting();

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Against DNS rebinding: a page of somebody else's that names this server by a domain of theirs.
// Accepts localhost, the loopback addresses, the configured host; and, where the configured address
// is not a loopback one, any literal IP address, which no rebinding can forge.
bool HostAllowed(const std::string& host_header, const HttpAddress& configured);

}  // namespace stagger::daemon
