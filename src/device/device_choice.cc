#include "device/device_choice.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace stagger::device {
namespace {

constexpr unsigned kMaxNumber = 255;

std::optional<unsigned> GpuNumber(std::string_view word) {
  if (!word.starts_with("gpu:")) return std::nullopt;
  word.remove_prefix(4);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || end != word.data() + word.size() || number > kMaxNumber) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::string GpuName(unsigned number) { return "gpu:" + std::to_string(number); }

Result<DeviceChoice> ParseDeviceChoice(const std::string& text) {
  if (text == "auto") return DeviceChoice{};
  DeviceChoice choice{.every_gpu = false, .gpus = {}};
  bool cpu = false;
  std::string_view rest = text;
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    std::string_view word = rest.substr(0, comma);
    if (more) rest.remove_prefix(comma + 1);
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    if (word == "cpu:0") word = "cpu";
    const std::optional<unsigned> number = GpuNumber(word);
    if (word != "cpu" && !number) {
      return Error{"devices '" + text +
                   "': expected auto, cpu, or GPUs by number, as in gpu:0,gpu:1"};
    }
    const bool twice = number ? std::ranges::count(choice.gpus, *number) > 0 : cpu;
    if (twice) {
      return Error{"devices '" + text + "': " + std::string(word) +
                   " is named twice; expected each device once"};
    }
    if (number) {
      choice.gpus.push_back(*number);
    } else {
      cpu = true;
    }
  }
  return choice;
}

}  // namespace stagger::device
