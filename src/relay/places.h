// Where a relay reads and where it serves, from what the user wrote. Pure but for ParseOrigin,
// which looks whether a file or a device is there.
#pragma once

#include <string>

#include "base/result.h"

namespace stagger::relay {

struct Origin {
  enum class Kind {
    kFile,    // played in real time, ends
    kDevice,  // V4L2
    kStream,  // RTSP, or MJPEG over HTTP
  };
  Kind kind = Kind::kFile;
  std::string uri;    // as GStreamer takes it
  std::string shown;  // for people: without a password
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

// What a source may be: a file, /dev/videoN, rtsp://, rtspt:// (RTP in the RTSP connection),
// rtspu:// (RTP over UDP), http:// or https:// (MJPEG).
bool IsKnownOrigin(const std::string& text);
// Error: no such file or device, or one that cannot be read.
Result<Origin> ParseOrigin(const std::string& text);
// rtsp://HOST:PORT/PATH or http://HOST:PORT/PATH; no host: the loopback address; no port: the
// protocol's own.
Result<Destination> ParseDestination(const std::string& text);
// A URL without its password.
std::string WithoutPassword(const std::string& url);

}  // namespace stagger::relay
