#include "relay/options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>

namespace stagger::relay {
namespace {

constexpr double kLeastFps = 0.01;
constexpr double kMostFps = 1000;

Parsed Refuse(std::string line) {
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  fmt::print(stderr, "stagger relay: {}\n", line);
  return {std::nullopt, 2};
}

}  // namespace

Parsed ParseOptions(int argc, char** argv) {
  CLI::App app{
      "Serves a camera's or a file's video again, at the rate that is needed.\n"
      "stagger relay SOURCE --fps F --to URL",
      "stagger relay"};
  Options options;
  std::string from;
  std::string to;
  app.add_option(
         "source", from,
         "a video file, /dev/videoN, rtsp://… (rtspu://…: RTP over UDP), or http://… (MJPEG)")
      ->required();
  app.add_option("--fps", options.fps,
                 "frames a second to pass on, evenly spaced; a slower source passes as it is")
      ->required()
      ->check(CLI::Range(kLeastFps, kMostFps));
  app.add_option("--to", to,
                 "rtsp://HOST:PORT/PATH (H.264) or http://HOST:PORT/PATH (MJPEG); without a host "
                 "for this machine only, port 0: any free one")
      ->required();
  app.add_flag("--loop", options.loop, "begin a file again at its end");
  CLI::Option* bitrate =
      app.add_option("--bitrate", options.bitrate_kbit,
                     "kbit a second of H.264 (default: constant quality, as many as that takes)")
          ->check(CLI::Range(16, 200'000));
  CLI::Option* quality = app.add_option("--quality", options.quality, "of the JPEGs, 1 to 100")
                             ->check(CLI::Range(1, 100))
                             ->capture_default_str();
  app.add_flag("--json", options.json,
               "print the counts as JSON at the end; the URL goes to stderr");
  app.footer(
      "The URL is printed on stdout as soon as clients may come. Ctrl-C ends it. "
      "Exit codes: 0 ok, 1 failed, 2 bad usage.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return {std::nullopt, app.exit(success)};
  } catch (const CLI::ParseError& error) {
    return Refuse(fmt::format("{} (see stagger relay --help)", error.what()));
  }
  Result<Destination> destination = ParseDestination(to);
  if (!destination) return Refuse(destination.error().message);
  options.to = std::move(destination).value();
  Result<Origin> origin = ParseOrigin(from);
  if (!origin) return Refuse(origin.error().message);
  options.from = std::move(origin).value();
  const bool rtsp = options.to.protocol == Destination::Protocol::kRtsp;
  if (bitrate->count() > 0 && !rtsp) return Refuse("--bitrate: only with --to rtsp://");
  if (quality->count() > 0 && rtsp) return Refuse("--quality: only with --to http://");
  if (options.loop && options.from.live()) {
    return Refuse(fmt::format("--loop: only with a file, not '{}'", options.from.shown));
  }
  return {std::move(options), 0};
}

}  // namespace stagger::relay
