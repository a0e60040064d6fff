#include "relay/endpoints.h"

#include <fmt/core.h>
#include <glib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace stagger::relay {
namespace {

constexpr int kRtspPort = 554;
constexpr int kHttpPort = 80;

std::string_view SchemeOf(std::string_view text) {
  const std::size_t end = text.find("://");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
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
  if (SchemeOf(url).empty()) return url;
  constexpr auto kFlags = static_cast<GUriFlags>(G_URI_FLAGS_ENCODED | G_URI_FLAGS_HAS_PASSWORD |
                                                 G_URI_FLAGS_PARSE_RELAXED);
  GUri* parsed = g_uri_parse(url.c_str(), kFlags, nullptr);
  // A URL that cannot be taken apart may hold a password anywhere.
  if (parsed == nullptr) return fmt::format("{}://…", SchemeOf(url));
  gchar* shown = g_uri_to_string_partial(parsed, G_URI_HIDE_PASSWORD);
  std::string text = shown;
  g_free(shown);
  g_uri_unref(parsed);
  return text;
}

Result<Origin> ParseOrigin(const std::string& text) {
  using Kind = Origin::Kind;
  const std::string_view scheme = SchemeOf(text);
  const std::string shown = WithoutPassword(text);
  if (scheme == "rtsp" || scheme == "rtspt" || scheme == "rtspu") {
    return Origin{Kind::kRtsp, text, shown};
  }
  if (scheme == "http" || scheme == "https") return Origin{Kind::kHttp, text, shown};
  if (scheme == "file") return Origin{Kind::kFile, text.substr(7), shown};
  if (scheme.empty()) {
    return Origin{text.starts_with("/dev/") ? Kind::kDevice : Kind::kFile, text, shown};
  }
  return Error{fmt::format(
      "source '{}': unknown scheme; expected a file, /dev/videoN, rtsp:// or http://", shown)};
}

Result<void> CheckReadable(const Origin& origin) {
  const bool device = origin.kind == Origin::Kind::kDevice;
  if (!device && origin.kind != Origin::Kind::kFile) return {};
  const std::string& path = origin.location;
  if (access(path.c_str(), R_OK) != 0) {
    return Error{fmt::format(
        "{} '{}': {}", device ? "camera" : "file", path,
        errno == ENOENT ? (device ? "no such device" : "no such file") : std::strerror(errno))};
  }
  if (!device && !std::filesystem::is_regular_file(path)) {
    return Error{
        fmt::format("'{}' is not a file; expected a video file, /dev/videoN or a URL", path)};
  }
  return {};
}

Result<Destination> ParseDestination(const std::string& text) {
  Destination to;
  const std::string_view scheme = SchemeOf(text);
  if (scheme.empty()) return BadDestination(text, "not a URL");
  if (scheme != "rtsp" && scheme != "http") {
    return BadDestination(text, fmt::format("unknown scheme '{}'", scheme));
  }
  to.protocol = scheme == "rtsp" ? Destination::Protocol::kRtsp : Destination::Protocol::kMjpeg;
  const std::size_t begin = scheme.size() + 3;
  const std::size_t slash = std::min(text.find('/', begin), text.size());
  const std::string authority = text.substr(begin, slash - begin);
  to.path = slash < text.size() ? text.substr(slash) : "/";
  if (authority.find('@') != std::string::npos) {
    return BadDestination(text, "a user and a password are not checked here");
  }
  if (to.path.find_first_of("?# %") != std::string::npos) {
    return BadDestination(text, "the path may not hold ? # % or spaces");
  }
  if (authority.ends_with(':')) return BadDestination(text, "there is no port after the colon");
  gchar* host = nullptr;
  gint port = -1;
  GError* error = nullptr;
  const std::string network = text.substr(0, slash);
  if (g_uri_split_network(network.c_str(), G_URI_FLAGS_NONE, nullptr, &host, &port, &error) ==
      FALSE) {
    Error bad = BadDestination(text, error->message);
    g_clear_error(&error);
    return bad;
  }
  to.host = *host != '\0' ? host : "127.0.0.1";
  g_free(host);
  to.port = port >= 0 ? port : scheme == "rtsp" ? kRtspPort : kHttpPort;
  return to;
}

}  // namespace stagger::relay
