#include "wire/listener.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

#include "base/try.h"
#include "wire/socket_address.h"

namespace stagger::wire {
namespace {

constexpr gid_t kNoGroup = static_cast<gid_t>(-1);

struct SocketPath {
  std::string folder;
  std::string name;
};

Result<SocketPath> SplitPath(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  SocketPath parts{.folder = ".", .name = path};
  if (slash != std::string::npos) {
    parts.folder = slash == 0 ? "/" : path.substr(0, slash);
    parts.name = path.substr(slash + 1);
  }
  if (parts.name.empty() || parts.name == "." || parts.name == "..") {
    return Error{"socket path " + path + " names a folder: add a file name"};
  }
  return parts;
}

Error Failed(const std::string& what) {
  return Error{"cannot " + what + ": " + std::strerror(errno)};
}

std::string Octal(unsigned mode) {
  char digits[8] = {};
  std::to_chars(digits, digits + sizeof(digits) - 1, mode & 07777, 8);
  return std::string("0") + digits;
}

// statx rather than fstatat: glibc's stat functions are newer (2.33) than what the agent, which
// is built from the same sources, may need (2.28).
std::optional<struct statx> Stat(int folder, const char* name) {
  struct statx info {};
  const int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
  if (statx(folder, name, flags, STATX_BASIC_STATS, &info) != 0) return std::nullopt;
  return info;
}

// Opens the parent folder, made if missing, once it is sure that only we decide what is in it.
Result<UniqueFd> OpenFolder(const std::string& folder, gid_t group) {
  const bool made = mkdir(folder.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return Failed("make the socket's folder " + folder);
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ELOOP || errno == ENOTDIR) {
      return Error{folder + " is not a folder but a file or a symbolic link, which somebody else " +
                   "may have put there: give the socket's real path"};
    }
    return Failed("open the socket's folder " + folder);
  }
  if (made && group != kNoGroup &&
      (fchown(fd.get(), static_cast<uid_t>(-1), group) != 0 || fchmod(fd.get(), 0710) != 0)) {
    const Error error = Failed("give " + folder + " to group " + std::to_string(group));
    rmdir(folder.c_str());
    return error;
  }
  const auto info = Stat(fd.get(), "");
  if (!info) return Failed("look at the socket's folder " + folder);
  const unsigned mode = info->stx_mode;
  if (info->stx_uid != geteuid() && info->stx_uid != 0) {
    return Error{"the socket's folder " + folder + " belongs to user " +
                 std::to_string(info->stx_uid) + ", not to " + std::to_string(geteuid()) +
                 ": choose another with --socket"};
  }
  if ((mode & (S_IWGRP | S_IWOTH)) != 0 && (mode & S_ISVTX) == 0) {
    return Error{"others can write to the socket's folder " + folder + " (mode " + Octal(mode) +
                 "): 'chmod go-w' it, or choose another with --socket"};
  }
  const bool enters = (mode & S_IXOTH) != 0 || (info->stx_gid == group && (mode & S_IXGRP) != 0);
  if (group != kNoGroup && !enters) {
    const std::string gid = std::to_string(group);
    return Error{"group " + gid + " cannot enter the socket's folder " + folder + " (mode " +
                 Octal(mode) + ", group " + std::to_string(info->stx_gid) + "): 'chgrp " + gid +
                 "' and 'chmod g+x' it"};
  }
  return fd;
}

Error AlreadyRunning(const std::string& path) {
  return Error{"a daemon is already running at " + path};
}

Result<UniqueFd> TakeLock(int folder, const std::string& name, const std::string& path) {
  UniqueFd lock(openat(folder, name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock.valid()) return Failed("open the lock file " + path + ".lock");
  const auto info = Stat(lock.get(), "");
  if (!info) return Failed("look at the lock file " + path + ".lock");
  if (info->stx_uid != geteuid()) {
    return Error{"the lock file " + path + ".lock belongs to user " +
                 std::to_string(info->stx_uid) + ": choose another path with --socket"};
  }
  while (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return AlreadyRunning(path);
    if (errno != EINTR) return Failed("lock " + path + ".lock");
  }
  return lock;
}

// Removes what a dead daemon left. Under the lock, so nobody of ours can be starting there.
Result<void> RemoveStale(int folder, const std::string& name, const std::string& path,
                         const SocketAddress& address) {
  const auto info = Stat(folder, name.c_str());
  if (!info) {
    if (errno == ENOENT) return {};
    return Failed("look at " + path);
  }
  if (!S_ISSOCK(info->stx_mode)) return Error{path + " exists and is not a socket: move it away"};
  if (info->stx_uid != geteuid()) {
    return Error{path + " is a socket of user " + std::to_string(info->stx_uid) +
                 ": choose another path with --socket"};
  }
  const UniqueFd probe(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return Failed("make a socket");
  // A full backlog (EAGAIN) is a sign of life too.
  if (connect(probe.get(), address.get(), SocketAddress::size()) == 0 || errno == EAGAIN) {
    return AlreadyRunning(path);
  }
  if (errno == EPROTOTYPE) return Error{path + " is in use by another program"};
  if (errno != ECONNREFUSED) return Failed("see whether anybody listens at " + path);
  if (unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) {
    return Failed("remove the stale socket " + path);
  }
  return {};
}

// Nobody can connect before listen(), so the permissions are in place when it matters.
Result<UniqueFd> Bind(int folder, const std::string& name, const std::string& path,
                      const SocketAddress& address, gid_t group) {
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Failed("make a socket");
  if (bind(fd.get(), address.get(), SocketAddress::size()) != 0) return Failed("make " + path);
  const auto undo = [&](Error error) {
    unlinkat(folder, name.c_str(), 0);
    return error;
  };
  if (group != kNoGroup &&
      fchownat(folder, name.c_str(), static_cast<uid_t>(-1), group, AT_SYMLINK_NOFOLLOW) != 0) {
    return undo(Failed("give " + path + " to group " + std::to_string(group)));
  }
  if (fchmodat(folder, name.c_str(), group == kNoGroup ? 0600 : 0660, 0) != 0) {
    return undo(Failed("set the permissions of " + path));
  }
  if (listen(fd.get(), SOMAXCONN) != 0) return undo(Failed("listen at " + path));
  return fd;
}

}  // namespace

Result<gid_t> GroupId(const std::string& group) {
  gid_t gid = 0;
  const char* last = group.data() + group.size();
  const auto [end, error] = std::from_chars(group.data(), last, gid);
  if (error == std::errc{} && end == last && gid != kNoGroup) return gid;
  struct group entry {};
  struct group* found = nullptr;
  std::vector<char> buffer(1024);
  const auto look_up = [&] {
    return getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found);
  };
  while (look_up() == ERANGE) buffer.resize(buffer.size() * 2);
  if (found == nullptr) return Error{"there is no group '" + group + "' on this machine"};
  return found->gr_gid;
}

Result<Listener> Listen(const std::string& path, const std::string& group) {
  const auto address = STAGGER_TRY(AddressOf(path));
  const auto parts = STAGGER_TRY(SplitPath(path));
  const auto gid = STAGGER_TRY(group.empty() ? Result<gid_t>(kNoGroup) : GroupId(group));
  const auto folder = STAGGER_TRY(OpenFolder(parts.folder, gid));
  auto lock = STAGGER_TRY(TakeLock(folder.get(), parts.name + ".lock", path));
  if (const auto gone = RemoveStale(folder.get(), parts.name, path, address); !gone) {
    return gone.error();
  }
  auto socket = STAGGER_TRY(Bind(folder.get(), parts.name, path, address, gid));
  return Listener{.socket = std::move(socket), .lock = std::move(lock)};
}

}  // namespace stagger::wire
