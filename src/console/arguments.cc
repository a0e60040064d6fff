#include "console/arguments.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "wire/channel.h"

namespace stagger::cli {
namespace {

std::optional<double> Number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

void PrintError(std::string_view message) {
  std::string line(message);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  fmt::print(stderr, "stagger: {}\n", line);
}

std::optional<int> ParseArguments(CLI::App& app, const Arguments& arguments) {
  try {
    // CLI11 takes the words last one first.
    app.parse(Arguments(arguments.rbegin(), arguments.rend()));
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return kExitOk;
  } catch (const CLI::ParseError& e) {
    const std::string& name = app.get_name();  // "stagger run"
    PrintError(
        fmt::format("{}: {} (see {} --help)", name.substr(name.find(' ') + 1), e.what(), name));
    return kExitUsage;
  }
}

std::string CheckPositive(const std::string& text) {
  const std::optional<double> value = Number(text);
  return value && *value > 0 ? "" : fmt::format("'{}' is not a number > 0", text);
}

std::string CheckNotNegative(const std::string& text) {
  const std::optional<double> value = Number(text);
  return value && *value >= 0 ? "" : fmt::format("'{}' is not a number >= 0", text);
}

std::string SocketPath(const std::string& option) {
  const std::string path = option.empty() ? wire::DefaultSocketPath() : option;
  return std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace stagger::cli
