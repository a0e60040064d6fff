// A SOCK_SEQPACKET Unix socket that carries messages, and how to find and open one.
// Not thread-safe by itself: one reader and one writer at a time. Nothing here blocks, prints or
// throws; the daemon's side of opening is wire/listener.h.
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

// Connects, non-blocking afterwards, CLOEXEC. The error says whether nobody listens there, the
// path is too long, or a foreign server is there: the server must be root or this process's
// user, because a path in /tmp proves nothing. A daemon shared by several users (a group socket)
// runs as another user, and in a container users may be numbered differently: for these,
// $STAGGER_SERVER_UID names the one uid, as seen from here, that is trusted as well, or "any".
Result<UniqueFd> Connect(const std::string& path);

Result<PeerCredentials> PeerOf(int fd);

enum class Io : std::uint8_t {
  kOk,
  kWouldBlock,  // nothing to read / no room to write
  kClosed,      // the peer is gone
  kMalformed,   // Receive: a packet came that does not decode; the connection should be dropped.
                // Send: a field exceeds its bound, nothing was sent.
};

// One packet, MSG_DONTWAIT | MSG_NOSIGNAL. Allocates only for Control and ControlReply.
Io Send(int fd, const Message& message);

// One packet; `message` changes only with kOk. A greeting (Hello, Control, Welcome) of another
// protocol version arrives as kOk with that version and defaults elsewhere, so that it can be
// refused properly: look at `version` first. Descriptors sent along are malformed (and closed).
// `appended`, unless null: see Decode.
Io Receive(int fd, Message* message, std::size_t* appended = nullptr);

// The same for agents, on stacks that belong to somebody else: takes kMaxShortPacket bytes of it
// rather than kMaxPacket. What only the command line receives is malformed here.
Io ReceiveShort(int fd, Message* message);

}  // namespace stagger::wire
