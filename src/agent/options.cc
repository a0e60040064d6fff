#include "agent/options.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>

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
  if (const char* name = getenv("STAGGER_NAME")) {
    options.hello.name = wire::CleanText(name, wire::kMaxName);
  }
  double number = 0;
  if (ReadNumber("STAGGER_FPS", 0.001, 100000, &number, complaint)) {
    options.hello.fps_milli = static_cast<std::uint32_t>(number * 1000);
  }
  if (ReadNumber("STAGGER_DEADLINE_MS", 0.001, 3600000, &number, complaint)) {
    options.hello.deadline_us = static_cast<std::uint32_t>(number * 1000);
  }
  if (ReadNumber("STAGGER_WEIGHT", 0.001, 1000000, &number, complaint)) {
    options.hello.weight_milli = static_cast<std::uint32_t>(number * 1000);
  }
  if (ReadNumber("STAGGER_MIN_FPS", 0, 100000, &number, complaint)) {
    options.hello.min_fps_milli = static_cast<std::uint32_t>(number * 1000);
  }
  if (ReadNumber("STAGGER_WARMUP", 0, 1000000, &number, complaint)) {
    options.warmup = static_cast<unsigned>(number);
  }
  if (ReadNumber("STAGGER_COOPERATIVE", 0, 1, &number, complaint)) {
    options.cooperative = number != 0;
  }
  if (const char* sockets = getenv("STAGGER_EXECUTOR")) {
    options.forwards = true;
    std::string_view rest = sockets;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      if (end > 0) options.executors.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  if (ReadNumber("STAGGER_PIPELINE", 0, 16, &number, complaint)) {
    options.pipeline = static_cast<unsigned>(number);
  }
  if (options.pipeline > 0 && !options.forwards) {
    *complaint = "STAGGER_PIPELINE is set without STAGGER_EXECUTOR; ignored";
    options.pipeline = 0;
  }
  if (const char* socket = getenv("STAGGER_SERVES")) {
    if (wire::IsText(socket) && strlen(socket) <= wire::kMaxSocketPath) options.serves = socket;
  }
  if (ReadNumber("STAGGER_QUIET", 0, 1, &number, complaint)) options.quiet = number != 0;
  return options;
}

}  // namespace stagger::agent
