#include "launch/app_environment.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <cstdlib>

#include "launch/preload.h"
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
  if (!stream.name.empty()) environment[kNameSetting.variable] = stream.name;
#define STAGGER_TOLD_SETTING(field, spec, type, unset, flag, variable, ...) \
  if (stream.field) environment[variable] = fmt::format("{}", *stream.field);
#include "base/stream_settings.inc"
  if (stream.forwards || !stream.executors.empty()) {
    environment[kExecutorSetting.variable] = fmt::format("{}", fmt::join(stream.executors, ","));
  }
  if (stream.pipeline > 0) environment[kPipelineSetting.variable] = std::to_string(stream.pipeline);
  if (stream.excess) environment[kExcessSetting.variable] = ToString(*stream.excess);
  return environment;
}

Result<void> CheckExcess(const StreamSettings& stream) {
  if (!stream.excess) return {};
  const char* word = ToString(*stream.excess);
  if (!stream.fps) {
    return Error{fmt::format("{}: only beside a rate (fps) that calls can be beyond", word)};
  }
  if (*stream.excess == Excess::kReuse && stream.pipeline > 0) {
    return Error{fmt::format("{}: not beside a pipeline, whose results come late as it is", word)};
  }
  return {};
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
