// Where a relay reads and where it serves, from what the user wrote. Plain values, for any thread.
// Pure, but for CheckReadable. Must never put a password into a message.
#pragma once

#include <string>

#include "base/result.h"

namespace stagger::relay {

struct Origin {
  enum class Kind {
    kFile,    // played in real time, ends
    kDevice,  // V4L2
    kRtsp,
    kHttp,  // MJPEG
  };
  Kind kind = Kind::kFile;
  std::string location;  // a path or a URL
  std::string shown;     // for people: without a password
  bool live() const { return kind != Kind::kFile; }
};

struct Destination {
  enum class Protocol { kRtsp, kMjpeg };
  Protocol protocol = Protocol::kRtsp;
  std::string host;  // an address or a name of this machine; IPv6 without brackets
  int port = 0;      // 0: any free one
  std::string path;  // "/gate"

  // The URL for clients, with the port that was found.
  std::string Url(int bound_port) const;
  bool loopback() const;
};

// A source may be a file, /dev/videoN, rtsp:// or rtspt:// (RTP in the RTSP connection), rtspu://
// (RTP over UDP), http:// or https:// (MJPEG). Error: another scheme.
Result<Origin> ParseOrigin(const std::string& text);
// Error: no such file or device, or one that cannot be read.
Result<void> CheckReadable(const Origin& origin);
// rtsp://HOST:PORT/PATH or http://HOST:PORT/PATH; no host: the loopback address; no port: the
// protocol's own.
Result<Destination> ParseDestination(const std::string& text);
// A URL without its password.
std::string WithoutPassword(const std::string& url);

}  // namespace stagger::relay
