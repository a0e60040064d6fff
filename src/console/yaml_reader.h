// Reads values out of a YAML document, strictly: an unknown or repeated field is an error, and
// every error names file, line, column, field, value and what was expected.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace stagger::cli {

// Thrown by YamlReader and caught by ReadYaml: yaml-cpp throws anyway, and reading is a deep
// descent.
struct BadYaml {
  std::string message;
};

class YamlReader {
 public:
  explicit YamlReader(std::string path) : path_(std::move(path)) {}

  [[noreturn]] void Fail(const YAML::Node& node, const std::string& what) const;
  // What an error shows of a value.
  static std::string Shown(const YAML::Node& node);
  // `where`: the map's place, e.g. "apps[1]"; empty for the document.
  void CheckKeys(const YAML::Node& map, const std::string& where,
                 const std::vector<std::string>& known) const;
  // A whole number from `min` to `max`. `kind` completes "is not ..."; `or_else` goes before what
  // else was expected: "'auto' or ".
  int Whole(const YAML::Node& node, const std::string& where, const std::string& kind, int min,
            int max, const std::string& or_else = "") const;
  // A finite number > 0.
  double Positive(const YAML::Node& node, const std::string& where, const std::string& kind) const;
  // A finite number from `min` to `max`.
  double Number(const YAML::Node& node, const std::string& where, double min, double max) const;

 private:
  std::string path_;
};

// The text of a file of at most `most_mib`; `kind` is what was expected: "a site file".
Result<std::string> ReadTextFile(const std::string& path, const std::string& kind,
                                 std::size_t most_mib = 1);

// Parses `text` and hands its root to `read`; errors of either become one line. `expected`
// completes "empty; expected ...".
Result<void> ReadYaml(const std::string& text, const std::string& path, const std::string& expected,
                      const std::function<void(const YAML::Node&)>& read);

}  // namespace stagger::cli
