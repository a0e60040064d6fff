#include "cli/app_environment.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <cstdlib>

#include "cli/preload.h"
#include "wire/messages.h"

namespace stagger::cli {

Environment AppEnvironment(const std::string& agents, const std::string& socket,
                           const StreamSettings& stream) {
  Environment environment;
  const char* before = std::getenv("LD_PRELOAD");
  if (!agents.empty() || before != nullptr) {
    environment["LD_PRELOAD"] = PreloadValue(agents, before);
  }
  environment["STAGGER_SOCKET"] = socket;
  if (!stream.name.empty()) environment["STAGGER_NAME"] = stream.name;
  if (stream.fps) environment["STAGGER_FPS"] = fmt::format("{}", *stream.fps);
  if (stream.deadline_ms)
    environment["STAGGER_DEADLINE_MS"] = fmt::format("{}", *stream.deadline_ms);
  if (stream.min_fps) environment["STAGGER_MIN_FPS"] = fmt::format("{}", *stream.min_fps);
  if (stream.weight) environment["STAGGER_WEIGHT"] = fmt::format("{}", *stream.weight);
  if (stream.forwards || !stream.executors.empty()) {
    environment["STAGGER_EXECUTOR"] = fmt::format("{}", fmt::join(stream.executors, ","));
  }
  if (stream.pipeline > 0) environment["STAGGER_PIPELINE"] = std::to_string(stream.pipeline);
  return environment;
}

Result<void> CheckStreamName(const std::string& name) {
  if (name.size() > wire::kMaxName) {
    return Error{
        fmt::format("the name is {} bytes long; the limit is {}", name.size(), wire::kMaxName)};
  }
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return Error{"the name holds a control character; use letters, digits, '-', '_'"};
    }
  }
  return {};
}

}  // namespace stagger::cli
