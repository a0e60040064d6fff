#include "agent/options.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/stream_settings.h"
#include "wire/channel.h"
#include "wire/text.h"

namespace stagger::agent {
namespace {

bool ReadNumber(const char* variable, double low, double high, double* out,
                std::string* complaint) {
  const char* text = getenv(variable);
  if (text == nullptr || *text == '\0') return false;
  char* end = nullptr;
  const double value = strtod(text, &end);
  if (*end != '\0' || !std::isfinite(value) || value < low || value > high) {
    *complaint = std::string(variable) + "=" + std::string(text).substr(0, 40) +
                 " is not a number in its range; ignored";
    return false;
  }
  *out = value;
  return true;
}

}  // namespace

Options ReadOptions(std::string* complaint) {
  Options options;
  options.socket = wire::DefaultSocketPath();
  if (const char* name = getenv(kNameSetting.variable)) {
    options.hello.name = wire::CleanText(name, wire::kMaxName);
  }
  struct Stated {
#define STAGGER_TOLD_SETTING(field, ...) std::optional<double> field;
#include "base/stream_settings.inc"
  } stated;
  double number = 0;
#define STAGGER_TOLD_SETTING(field, told, flag, variable, low, high, kind, help) \
  if (ReadNumber(variable, low, high, &number, complaint)) {                     \
    stated.field = number;                                                       \
    options.hello.told = static_cast<std::uint32_t>(std::lround(number * 1000)); \
  }
#include "base/stream_settings.inc"
  if (stated.fps) options.period = Duration{static_cast<Duration::rep>(1e9 / *stated.fps)};
  if (ReadNumber("STAGGER_WARMUP", 0, 1000000, &number, complaint)) {
    options.warmup = static_cast<unsigned>(number);
  }
  if (ReadNumber("STAGGER_COOPERATIVE", 0, 1, &number, complaint)) {
    options.cooperative = number != 0;
  }
  if (const char* sockets = getenv(kExecutorSetting.variable)) {
    options.forwards = true;
    std::string_view rest = sockets;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      if (end > 0) options.executors.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  if (ReadNumber(kPipelineSetting.variable, 0, kMaxPipeline, &number, complaint)) {
    options.pipeline = static_cast<unsigned>(number);
  }
  if (options.pipeline > 0 && !options.forwards) {
    *complaint = "STAGGER_PIPELINE is set without STAGGER_EXECUTOR; ignored";
    options.pipeline = 0;
  }
  if (const char* socket = getenv("STAGGER_SERVES")) {
    if (wire::IsText(socket) && strlen(socket) <= wire::kMaxSocketPath) options.serves = socket;
  }
  if (const char* text = getenv(kExcessSetting.variable); text != nullptr && *text != '\0') {
    if (const std::optional<Excess> excess = ParseExcess(text)) {
      options.hello.excess = *excess;
    } else {
      *complaint = "STAGGER_EXCESS=" + std::string(text).substr(0, 40) + " is not " + kExcessNames +
                   "; ignored";
    }
  }
  if (options.hello.excess != Excess::kPace && options.period == Duration{}) {
    *complaint = "STAGGER_EXCESS is set without STAGGER_FPS; ignored";
    options.hello.excess = Excess::kPace;
  }
  if (options.hello.excess == Excess::kReuse && options.pipeline > 0) {
    *complaint = "STAGGER_EXCESS=reuse is set beside STAGGER_PIPELINE; ignored";
    options.hello.excess = Excess::kPass;
  }
  if (ReadNumber("STAGGER_QUIET", 0, 1, &number, complaint)) options.quiet = number != 0;
  return options;
}

}  // namespace stagger::agent
