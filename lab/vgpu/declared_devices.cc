#include "lab/vgpu/declared_devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/try.h"
#include "console/yaml_reader.h"
#include "lab/vgpu/device_list.h"
#include "lab/vgpu/protocol.h"
#include "lab/vgpu/quantity.h"

namespace stagger::cli {
namespace {

constexpr double kMaxFactor = 100;
constexpr double kMaxGbps = 10'000;
constexpr double kMaxUs = 1e6;

class ModelReader : YamlReader {
 public:
  using YamlReader::YamlReader;

  vgpu::Model Read(const YAML::Node& root) {
    CheckKeys(root, "",
              {"name", "memory", "sigma", "w", "g", "pcie_gbps", "local_gbps", "copy_latency_us",
               "slice_ms", "kernels"});
    vgpu::Model model;
    const YAML::Node name = root["name"];
    if (!name || !name.IsScalar() || name.Scalar().empty() || name.Scalar().size() > 60) {
      Fail(root, "name: missing; expected what the device is called, up to 60 characters");
    }
    model.name = name.Scalar();
    model.contention.name = model.name;
    const YAML::Node memory = root["memory"];
    const auto bytes =
        memory && memory.IsScalar() ? vgpu::ParseSize(memory.Scalar()) : std::nullopt;
    if (!bytes) Fail(memory ? memory : root, "memory: expected a size, for example 16GiB");
    model.memory_bytes = *bytes;
    const auto number = [&](const char* field, double least, double most, double* value) {
      if (const YAML::Node given = root[field]) *value = Number(given, field, least, most);
    };
    number("sigma", 0, kMaxFactor, &model.contention.sigma);
    number("w", 0, kMaxFactor, &model.contention.w);
    number("g", 0, kMaxFactor, &model.contention.g);
    number("pcie_gbps", 0.001, kMaxGbps, &model.pcie_gbps);
    number("local_gbps", 0.001, kMaxGbps, &model.local_gbps);
    double latency_us = ToMs(model.copy_latency) * 1000;
    number("copy_latency_us", 0, kMaxUs, &latency_us);
    model.copy_latency = FromMs(latency_us / 1000);
    double slice_ms = ToMs(model.slice);
    number("slice_ms", 0.01, 1000, &slice_ms);
    model.slice = FromMs(slice_ms);
    Kernels(root["kernels"], &model);
    return model;
  }

 private:
  void Kernels(const YAML::Node& list, vgpu::Model* model) {
    if (!list) return;
    if (!list.IsSequence()) Fail(list, "kernels: expected a list");
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string where = fmt::format("kernels[{}]", i);
      const YAML::Node node = list[i];
      if (!node.IsMap()) Fail(node, where + ": expected a map with name and cost");
      CheckKeys(node, where, {"name", "cost", "demand", "class"});
      const YAML::Node name = node["name"];
      if (!name || !name.IsScalar()) Fail(node, where + ".name: missing; expected a kernel's name");
      vgpu::KernelCost cost;
      const YAML::Node time = node["cost"];
      const auto parsed = time && time.IsScalar() ? vgpu::ParseTime(time.Scalar()) : std::nullopt;
      if (!parsed) {
        Fail(time ? time : node, fmt::format("{}.cost: {}; expected a time, for example 50us",
                                             where, time ? Shown(time) : "missing"));
      }
      cost.cost = *parsed;
      if (const YAML::Node demand = node["demand"]) {
        cost.demand = Positive(demand, where + ".demand", "a part of the device");
        if (cost.demand > 1) Fail(demand, where + ".demand: expected at most 1, the whole device");
      }
      if (const YAML::Node kind = node["class"]) {
        cost.post = kind.IsScalar() && kind.Scalar() == "post";
        if (!kind.IsScalar() || (kind.Scalar() != "post" && kind.Scalar() != "body")) {
          Fail(kind, fmt::format("{}.class: {}; expected body or post", where, Shown(kind)));
        }
      }
      if (!model->kernels.emplace(name.Scalar(), cost).second) {
        Fail(name, fmt::format("{}.name: '{}' twice", where, name.Scalar()));
      }
    }
  }
};

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

Result<vgpu::Model> ParseModel(const std::string& text, const std::string& path) {
  vgpu::Model model;
  const Result<void> read =
      ReadYaml(text, path, "a map with 'name' and 'memory'",
               [&](const YAML::Node& root) { model = ModelReader(path).Read(root); });
  if (!read) return read.error();
  return model;
}

Result<vgpu::Model> ReadModel(const std::string& path) {
  return ParseModel(STAGGER_TRY(ReadTextFile(path, "a model file")), path);
}

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
    vgpu::Model device = STAGGER_TRY(ParseDevice(vgpu::NextPart(&rest, ',')));
    const std::string& label = device.label;
    if (!label.empty() && std::ranges::count(devices, label, &vgpu::Model::label) > 0) {
      return Error{fmt::format("'{}' twice; expected names of their own", label)};
    }
    devices.push_back(std::move(device));
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
