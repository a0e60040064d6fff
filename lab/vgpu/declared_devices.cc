#include "lab/vgpu/declared_devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "lab/vgpu/device_list.h"
#include "lab/vgpu/faults.h"
#include "lab/vgpu/model_file.h"
#include "lab/vgpu/protocol.h"
#include "lab/vgpu/quantity.h"

namespace stagger::cli {
namespace {

constexpr double kLeastSpeed = 0.01;
constexpr double kMostSpeed = 100;
constexpr std::size_t kLongestLabel = 31;
constexpr std::size_t kLongestName = 63;

bool ParseSpeed(const std::string& text, double* speed) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *speed);
  return error == std::errc() && end == text.data() + text.size() && *speed >= kLeastSpeed &&
         *speed <= kMostSpeed;
}

bool IsLabel(const std::string& text) {
  return !text.empty() && text.size() <= kLongestLabel &&
         text.find_first_not_of("0123456789") != std::string::npos &&
         std::ranges::all_of(text, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

Result<vgpu::Model> ParseDevice(const std::string& whole) {
  const auto bad = [&](const std::string& what) {
    return Error{fmt::format(
        "'{}': {}; expected [NAME=]MODEL[:SPEED[:MEMORY]], for example slow=t4:0.5:8GiB", whole,
        what)};
  };
  std::string rest = whole;
  std::string label;
  if (whole.find('=') != std::string::npos) {
    label = vgpu::NextPart(&rest, '=');
    if (!IsLabel(label)) return bad(fmt::format("'{}' is no name", label));
  }
  const std::string model_name = vgpu::NextPart(&rest, ':');
  const std::string speed = vgpu::NextPart(&rest, ':');
  Result<vgpu::Model> read = ModelOf(model_name);
  if (!read) return bad(read.error().message);
  vgpu::Model model = std::move(read).value();
  model.label = label;
  if (!label.empty()) model.name = fmt::format("{} ({})", model.name, label);
  if (model.name.size() > kLongestName) return bad("its model's name is too long beside its own");
  if (!speed.empty() && !ParseSpeed(speed, &model.speed)) {
    return bad(fmt::format("'{}' is no speed from {} to {}", speed, kLeastSpeed, kMostSpeed));
  }
  if (rest.empty()) return model;
  const auto memory = vgpu::ParseSize(rest);
  if (!memory) return bad(fmt::format("'{}' is no size", rest));
  model.memory_bytes = *memory;
  return model;
}

}  // namespace

Result<vgpu::Model> ModelOf(const std::string& name_or_file) {
  if (const auto built_in = vgpu::BuiltInModel(name_or_file)) return *built_in;
  if (name_or_file.find('/') == std::string::npos && name_or_file.find('.') == std::string::npos) {
    return Error{fmt::format("'{}' is no model; expected t4, or a model file", name_or_file)};
  }
  return ReadModel(name_or_file);
}

Result<std::vector<vgpu::Model>> ParseDevices(const std::string& text) {
  std::vector<vgpu::Model> devices;
  for (std::string rest = text; !rest.empty();) {
    Result<vgpu::Model> device = ParseDevice(vgpu::NextPart(&rest, ','));
    if (!device) return device.error();
    const std::string& label = device->label;
    if (!label.empty() && std::ranges::count(devices, label, &vgpu::Model::label) > 0) {
      return Error{fmt::format("'{}' twice; expected names of their own", label)};
    }
    devices.push_back(std::move(device).value());
  }
  if (devices.empty() || devices.size() > vgpu::kMostDevices) {
    return Error{fmt::format("{} devices; expected 1 to {}", devices.size(), vgpu::kMostDevices)};
  }
  return devices;
}

Result<void> SwitchDevice(const std::string& name_or_number, bool here) {
  const char* socket = std::getenv(vgpu::kSocketVariable);
  const std::vector<vgpu::Welcome> devices =
      socket == nullptr ? std::vector<vgpu::Welcome>() : vgpu::ListDevices(socket);
  if (devices.empty()) {
    return Error{"there is no virtual GPU around this command; expected to be run by stagger vgpu"};
  }
  std::string known;
  for (std::uint32_t i = 0; i < devices.size(); ++i) {
    const std::string label = devices[i].label;
    known += (i == 0 ? "" : ", ") + (label.empty() ? std::to_string(i) : label);
    if (name_or_number != label && name_or_number != std::to_string(i)) continue;
    if (vgpu::SwitchDevice(socket, i, here)) return {};
    return Error{"the virtual GPUs' server does not answer"};
  }
  return Error{fmt::format("there is no device '{}'; expected one of {}", name_or_number, known)};
}

}  // namespace stagger::cli
