// The daemon's end of the socket: makes it so that nobody but its user (or a group that the
// owner names) gets in, and so that two daemons never serve one path.
// For start-up: blocks for file operations, and looks up a group by name.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace stagger::wire {

struct Listener {
  UniqueFd socket;  // non-blocking, CLOEXEC
  UniqueFd lock;    // flock on "<path>.lock"; its holder owns the path
};

// Listens at `path`.
// - Makes the parent folder (0700) if missing; refuses one that is a symlink, that somebody else
//   than this user or root owns, or that others can write to (a sticky one like /tmp may be).
// - Removes a stale socket (nobody answers there) of this user, never a live one, nor anything
// else.
// - `group` (a name or number) empty: socket mode 0600; else 0660 and that group, and a parent
//   folder made here is 0710 and that group.
// To leave: unlink the path, then drop the Listener. The lock file stays: removing it would let
// two daemons hold different files of the same name.
Result<Listener> Listen(const std::string& path, const std::string& group);

// A group by name or number; an error if there is none of that name.
Result<gid_t> GroupId(const std::string& group);

}  // namespace stagger::wire
