#include "lab/vgpu/model_file.h"

#include <fmt/format.h>

#include "console/yaml_reader.h"
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
  const Result<std::string> text = ReadTextFile(path, "a model file");
  if (!text) return text.error();
  return ParseModel(text.value(), path);
}

}  // namespace stagger::cli
