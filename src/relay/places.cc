#include "relay/places.h"

#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace stagger::relay {
namespace {

namespace fs = std::filesystem;

constexpr std::array kStreamSchemes{"rtsp", "rtspt", "rtspu", "http", "https"};
constexpr int kRtspPort = 554;
constexpr int kHttpPort = 80;

std::string_view SchemeOf(std::string_view text) {
  const std::size_t end = text.find("://");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
}

bool IsStream(std::string_view text) {
  for (const std::string_view scheme : kStreamSchemes) {
    if (SchemeOf(text) == scheme) return true;
  }
  return false;
}

// A path in a URI: all but what is plain is written as its bytes.
std::string Escaped(const std::string& path) {
  std::string uri;
  for (const char c : path) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string_view("/-_.~").find(c) != std::string_view::npos;
    uri += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return uri;
}

Error BadDestination(const std::string& text, std::string_view why) {
  return Error{fmt::format(
      "--to '{}': {}; expected rtsp://HOST:PORT/PATH or http://HOST:PORT/PATH (MJPEG)", text, why)};
}

}  // namespace

std::string Destination::Url(int bound_port) const {
  const bool bare_ipv6 = host.find(':') != std::string::npos;
  return fmt::format("{}://{}:{}{}", protocol == Protocol::kRtsp ? "rtsp" : "http",
                     bare_ipv6 ? "[" + host + "]" : host, bound_port, path);
}

bool Destination::loopback() const {
  return host.starts_with("127.") || host == "localhost" || host == "::1";
}

std::string WithoutPassword(const std::string& url) {
  const std::string_view scheme = SchemeOf(url);
  if (scheme.empty()) return url;
  const std::size_t begin = scheme.size() + 3;
  const std::size_t end = url.find('/', begin);
  const std::size_t at = url.rfind('@', end);
  if (at == std::string::npos || at < begin) return url;
  const std::size_t colon = url.find(':', begin);
  if (colon == std::string::npos || colon > at) return url;
  return url.substr(0, colon) + url.substr(at);
}

bool IsKnownOrigin(const std::string& text) {
  const std::string_view scheme = SchemeOf(text);
  return scheme.empty() || scheme == "file" || IsStream(text);
}

Result<Origin> ParseOrigin(const std::string& text) {
  Origin origin;
  origin.shown = WithoutPassword(text);
  if (IsStream(text)) {
    origin.kind = Origin::Kind::kStream;
    origin.uri = text;
    return origin;
  }
  const bool device = text.starts_with("/dev/");
  const std::string path = text.starts_with("file://") ? text.substr(7) : text;
  if (access(path.c_str(), R_OK) != 0) {
    return Error{fmt::format(
        "{} '{}': {}", device ? "camera" : "file", path,
        errno == ENOENT ? (device ? "no such device" : "no such file") : std::strerror(errno))};
  }
  if (device) {
    origin.kind = Origin::Kind::kDevice;
    origin.uri = "v4l2://" + text;
    return origin;
  }
  if (!fs::is_regular_file(path)) {
    return Error{
        fmt::format("'{}' is not a file; expected a video file, /dev/videoN or a URL", path)};
  }
  origin.uri = "file://" + Escaped(fs::absolute(path).string());
  return origin;
}

Result<Destination> ParseDestination(const std::string& text) {
  Destination to;
  const std::string_view scheme = SchemeOf(text);
  if (scheme == "rtsp") {
    to.protocol = Destination::Protocol::kRtsp;
    to.port = kRtspPort;
  } else if (scheme == "http") {
    to.protocol = Destination::Protocol::kMjpeg;
    to.port = kHttpPort;
  } else {
    return BadDestination(
        text, scheme.empty() ? "not a URL" : fmt::format("unknown scheme '{}'", scheme));
  }
  const std::string rest = text.substr(scheme.size() + 3);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  std::string host = rest.substr(0, slash);
  to.path = slash < rest.size() ? rest.substr(slash) : "/";
  if (host.find('@') != std::string::npos) {
    return BadDestination(text, "a user and a password are not checked here");
  }
  if (to.path.find_first_of("?# %") != std::string::npos) {
    return BadDestination(text, "the path may not hold ? # % or spaces");
  }
  const std::size_t bracket = host.find(']');
  const std::size_t colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon != std::string::npos) {
    const char* begin = host.data() + colon + 1;
    const char* end = host.data() + host.size();
    const auto read = std::from_chars(begin, end, to.port);
    if (begin == end || read.ec != std::errc() || read.ptr != end || to.port < 0 ||
        to.port > 65535) {
      return BadDestination(text, fmt::format("'{}' is no port", host.substr(colon + 1)));
    }
    host.resize(colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  to.host = host.empty() ? "127.0.0.1" : host;
  return to;
}

}  // namespace stagger::relay
