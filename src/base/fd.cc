#include "base/fd.h"

#include <unistd.h>

namespace stagger {

void UniqueFd::Reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

}  // namespace stagger
