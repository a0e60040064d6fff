// What an app's environment must hold to be under control, and what a stream may ask for.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/excess.h"
#include "base/result.h"
#include "base/stream_settings.h"

namespace stagger::cli {

using Environment = std::map<std::string, std::string>;

struct StreamSettings {
  std::string name;  // empty: the daemon makes one
#define STAGGER_TOLD_SETTING(field, ...) std::optional<double> field{};
#define STAGGER_KEPT_SETTING(field, ...) std::optional<double> field{};
#include "base/stream_settings.inc"
  std::vector<std::string> executors{};  // sockets of those that run its inferences; empty: itself
  bool forwards = false;                 // the daemon may send them to executors while it runs
  int pipeline = 0;                      // a result comes so many calls later
  std::optional<Excess> excess{};        // what happens to calls beyond `fps`; default: kPace
  friend bool operator==(const StreamSettings&, const StreamSettings&) = default;
};

// LD_PRELOAD (the agents before what is there already; no agent where `agents` is empty) and the
// STAGGER_ variables the agent reads.
Environment AppEnvironment(const std::string& agents, const std::string& socket,
                           const StreamSettings& stream);

// What `excess` needs and what it does not go with; the error names neither option nor field.
Result<void> CheckExcess(const StreamSettings& stream);

// Too long for the wire, or with characters that would break a line of output.
Result<void> CheckStreamName(const std::string& name);

}  // namespace stagger::cli
