// Tells the process that started the daemon that clients may come now. Start-up only.
#pragma once

#include <string>

namespace stagger::daemon {

// "READY http=ADDRESS\n" ("http=off" if empty), then closes the descriptor. -1: nobody asked.
void WriteReady(int fd, const std::string& http);

// READY=1 to systemd if it started us ($NOTIFY_SOCKET).
void NotifySystemd();

}  // namespace stagger::daemon
