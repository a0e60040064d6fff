// The command line of stagger-relay, which is that of `stagger relay`.
#pragma once

#include <optional>
#include <string>

#include "relay/endpoints.h"

namespace stagger::relay {

struct Options {
  Origin from;
  double fps = 0;
  Destination to;
  bool loop = false;
  bool json = false;
  int bitrate_kbit = 0;  // of H.264; 0: constant quality
  int quality = 90;      // of JPEG
};

// The options, or the exit code if there is nothing more to do (help was printed, or an error).
struct Parsed {
  std::optional<Options> options;
  int exit_code = 0;
};
Parsed ParseOptions(int argc, char** argv);

}  // namespace stagger::relay
