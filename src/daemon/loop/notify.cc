#include "daemon/loop/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/fd.h"

namespace stagger::daemon {

void WriteReady(int fd, const std::string& http) {
  if (fd < 0) return;
  const std::string line = "READY http=" + (http.empty() ? std::string("off") : http) + "\n";
  // The process that asked may be gone already; the daemon goes on.
  [[maybe_unused]] const ssize_t n = write(fd, line.data(), line.size());
  close(fd);
}

void NotifySystemd() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return;
  constexpr std::string_view kReady = "READY=1";
  sendto(fd.get(), kReady.data(), kReady.size(), MSG_NOSIGNAL,
         reinterpret_cast<const sockaddr*>(&address),
         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

}  // namespace stagger::daemon
