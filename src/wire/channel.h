// A SOCK_SEQPACKET Unix socket that carries messages, and how to find and open one.
// Not thread-safe by itself: one reader and one writer at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "wire/messages.h"

namespace stagger::wire {

// $STAGGER_SOCKET, else $XDG_RUNTIME_DIR/stagger/daemon.sock, else /tmp/stagger-UID/daemon.sock.
std::string DefaultSocketPath();

struct PeerCredentials {
  pid_t pid = -1;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Listens at `path`. Makes the parent folder (0700) if missing and refuses one that others own or
// can write to. Removes a stale socket (nobody answers there) of our own, never a live one.
// `group` empty: socket mode 0600; else 0660 and that group. Errors name path, owner, limit.
Result<UniqueFd> Listen(const std::string& path, const std::string& group);

// Connects, non-blocking afterwards, CLOEXEC. The error says whether nobody listens there, the
// path is too long (limit 107), or it is owned by another user (a foreign server is refused).
Result<UniqueFd> Connect(const std::string& path);

Result<PeerCredentials> PeerOf(int fd);

enum class Io : std::uint8_t {
  kOk,
  kWouldBlock,  // nothing to read / no room to write
  kClosed,      // the peer is gone
  kMalformed,   // a packet came that does not decode; the connection should be dropped
};

// One packet, MSG_DONTWAIT | MSG_NOSIGNAL.
Io Send(int fd, const Message& message);
Io Receive(int fd, Message* message);

}  // namespace stagger::wire
