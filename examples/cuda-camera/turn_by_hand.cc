#include "turn_by_hand.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cuda_camera {
namespace {

[[noreturn]] void Fail(const char* what) {
  std::fprintf(stderr, "cuda-camera: --pass-by: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

}  // namespace

TurnByHand::TurnByHand(const std::string& path) {
  if (path.empty()) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  fd_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd_ < 0 || connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    Fail(path.c_str());
  }
}

void TurnByHand::Take() const {
  if (fd_ < 0) return;
  char word = 't';
  if (send(fd_, &word, 1, MSG_NOSIGNAL) != 1 || recv(fd_, &word, 1, 0) != 1) Fail("no turn came");
}

void TurnByHand::Give() const {
  if (fd_ < 0) return;
  const char word = 'g';
  if (send(fd_, &word, 1, MSG_NOSIGNAL) != 1) Fail("the turn could not be given back");
}

}  // namespace cuda_camera
