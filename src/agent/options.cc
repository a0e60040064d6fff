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
  StreamSpec& spec = options.hello.spec;
  options.socket = wire::DefaultSocketPath();
  if (const char* name = getenv(kNameSetting.variable)) {
    spec.name = wire::CleanText(name, wire::kMaxName);
  }
  double number = 0;
#define STAGGER_TOLD_SETTING(field, told, type, unset, flag, variable, low, high, kind, help) \
  if (ReadNumber(variable, low, high, &number, complaint)) {                                  \
    SetSetting(number, &spec.told);                                                           \
  }
#include "base/stream_settings.inc"
  if (spec.required_fps > 0) {
    options.period = Duration{static_cast<Duration::rep>(1e9 / spec.required_fps)};
  }
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
      spec.excess = *excess;
    } else {
      *complaint = "STAGGER_EXCESS=" + std::string(text).substr(0, 40) + " is not " + kExcessNames +
                   "; ignored";
    }
  }
  if (spec.excess != Excess::kPace && options.period == Duration{}) {
    *complaint = "STAGGER_EXCESS is set without STAGGER_FPS; ignored";
    spec.excess = Excess::kPace;
  }
  if (spec.excess == Excess::kReuse && options.pipeline > 0) {
    *complaint = "STAGGER_EXCESS=reuse is set beside STAGGER_PIPELINE; ignored";
    spec.excess = Excess::kPass;
  }
  if (ReadNumber("STAGGER_QUIET", 0, 1, &number, complaint)) options.quiet = number != 0;
  return options;
}

}  // namespace stagger::agent
