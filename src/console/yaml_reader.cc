#include "console/yaml_reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "console/sentences.h"

namespace stagger::cli {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

}  // namespace

void YamlReader::Fail(const YAML::Node& node, const std::string& what) const {
  const YAML::Mark mark = node.Mark();
  throw BadYaml{fmt::format("{}:{}:{}: {}", path_, mark.line + 1, mark.column + 1, what)};
}

std::string YamlReader::Shown(const YAML::Node& node) {
  if (node.IsMap()) return "a map";
  if (node.IsSequence()) return "a list";
  if (!node.IsScalar()) return "nothing";
  const std::string text = node.Scalar().substr(0, 60);
  const bool plain =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
  return plain && !text.empty() ? text : "'" + std::string(plain ? "" : "?") + "'";
}

void YamlReader::CheckKeys(const YAML::Node& map, const std::string& where,
                           const std::vector<std::string>& known) const {
  std::set<std::string> seen;
  for (const auto& entry : map) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const std::string dotted = where.empty() ? "" : where + ": ";
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      Fail(entry.first, fmt::format("{}unknown field '{}'; known: {}", dotted, Shown(entry.first),
                                    Join(known, ", ")));
    }
    if (!seen.insert(key).second) Fail(entry.first, fmt::format("{}'{}' twice", dotted, key));
  }
}

int YamlReader::Whole(const YAML::Node& node, const std::string& where, const std::string& kind,
                      int min, int max, const std::string& or_else) const {
  int value = 0;
  if (!node.IsScalar() || !YAML::convert<int>::decode(node, value) || value < min || value > max) {
    Fail(node, fmt::format("{}: {} is not {}; expected {}a whole number from {} to {}", where,
                           Shown(node), kind, or_else, min, max));
  }
  return value;
}

double YamlReader::Positive(const YAML::Node& node, const std::string& where,
                            const std::string& kind) const {
  double value = 0;
  if (!node.IsScalar() || !YAML::convert<double>::decode(node, value) || !std::isfinite(value) ||
      value <= 0) {
    Fail(node, fmt::format("{}: {} is not {}; expected a number > 0", where, Shown(node), kind));
  }
  return value;
}

double YamlReader::Number(const YAML::Node& node, const std::string& where, double min,
                          double max) const {
  double value = 0;
  // A NaN compares false, and so fails too.
  if (!node.IsScalar() || !YAML::convert<double>::decode(node, value) ||
      !(value >= min && value <= max)) {
    Fail(node,
         fmt::format("{}: {}; expected a number from {:g} to {:g}", where, Shown(node), min, max));
  }
  return value;
}

Result<std::string> ReadTextFile(const std::string& path, const std::string& kind,
                                 std::size_t most_mib) {
  std::error_code failure;
  if (std::filesystem::is_directory(path, failure)) {
    return Error{fmt::format("{} is a folder; expected {}", path, kind)};
  }
  std::ifstream file(path);
  if (!file) return Error{fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  std::ostringstream stream;
  stream << file.rdbuf();
  std::string text = std::move(stream).str();
  if (text.size() > most_mib * kMiB) {
    return Error{fmt::format("{} is larger than {} MiB; expected {}", path, most_mib, kind)};
  }
  return text;
}

Result<void> ReadYaml(const std::string& text, const std::string& path, const std::string& expected,
                      const std::function<void(const YAML::Node&)>& read) {
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return Error{path + ": empty; expected " + expected};
    read(root);
    return {};
  } catch (const BadYaml& bad) {
    return Error{bad.message};
  } catch (const YAML::Exception& e) {
    return Error{fmt::format("{}:{}:{}: {}", path, e.mark.line + 1, e.mark.column + 1, e.msg)};
  }
}

}  // namespace stagger::cli
