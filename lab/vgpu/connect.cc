#include "lab/vgpu/connect.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace stagger::vgpu {

UniqueFd Connect(const char* path, const Hello& hello, Welcome* welcome) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof address.sun_path) return {};
  std::strcpy(address.sun_path, path);
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return {};
  while (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) return {};
  }
  if (send(fd.get(), &hello, sizeof hello, MSG_NOSIGNAL) < 0) return {};
  ssize_t size;
  do {
    size = recv(fd.get(), welcome, sizeof *welcome, 0);
  } while (size < 0 && errno == EINTR);
  if (size != sizeof *welcome || welcome->type != Type::kWelcome) return {};
  return fd;
}

}  // namespace stagger::vgpu
