#include "daemon/options.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>

#include "base/try.h"
#include "core/policies.h"

namespace stagger::daemon {

namespace {

constexpr double kMaxLeaseFloorMs = 60'000;

std::optional<double> NumberIn(const std::string& text, double low, double high) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (!(value >= low && value <= high)) return std::nullopt;
  return value;
}

// One setting, from either place. Error: what was expected.
Result<void> Apply(const std::string& key, const std::string& value, Options* options) {
  if (key == "socket") {
    if (value.empty()) return Error{"socket: a path is expected"};
    options->socket = value;
  } else if (key == "group") {
    options->group = value;
  } else if (key == "record") {
    options->record = value;
  } else if (key == "policy") {
    options->policy.name = value;
  } else if (key == "devices") {
    options->devices = STAGGER_TRY(device::ParseDeviceChoice(value));
  } else if (key == "admission") {
    const auto mode = ParseAdmissionMode(value);
    if (!mode) {
      return Error{fmt::format("admission '{}': warn, strict or off is expected", value)};
    }
    options->admission = *mode;
  } else if (key == "mps") {
    const std::pair<const char*, MpsMode> modes[] = {
        {"off", MpsMode::kOff}, {"auto", MpsMode::kAuto}, {"on", MpsMode::kOn}};
    const auto* mode =
        std::ranges::find(modes, value, [](const auto& m) { return std::string(m.first); });
    if (mode == std::end(modes)) {
      return Error{fmt::format("mps '{}': auto, on or off is expected", value)};
    }
    options->mps = mode->second;
  } else if (key == "concurrency") {
    options->policy.auto_concurrency = value == "auto";
    if (options->policy.auto_concurrency) return {};
    const auto k = NumberIn(value, 0, core::kMaxConcurrency);
    if (!k || *k != static_cast<int>(*k)) {
      return Error{fmt::format(
          "concurrency '{}': 'auto' or a whole number from 0 (default) to {} is expected", value,
          core::kMaxConcurrency)};
    }
    options->policy.concurrency = static_cast<int>(*k);
  } else if (key == "demand_limit") {
    const auto limit = NumberIn(value, 1, core::kMaxDemandLimit);
    if (!limit) {
      return Error{
          fmt::format("demand limit '{}': 1 to {} is expected", value, core::kMaxDemandLimit)};
    }
    options->policy.demand_limit = *limit;
  } else if (key == "spacing_ms") {
    const auto ms = NumberIn(value, 0, ToMs(core::kMaxSpacing));
    if (!ms) {
      return Error{
          fmt::format("spacing '{}': 0 to {} ms is expected", value, ToMs(core::kMaxSpacing))};
    }
    options->policy.spacing = FromMs(*ms);
  } else if (key == "lease_floor_ms") {
    const auto ms = NumberIn(value, 1, kMaxLeaseFloorMs);
    if (!ms) {
      return Error{
          fmt::format("lease floor '{}': 1 to {} ms is expected", value, kMaxLeaseFloorMs)};
    }
    options->lease_floor = FromMs(*ms);
  } else if (key == "http") {
    options->http = value != "off";
    options->http_chosen = true;
    if (!options->http) return {};
    options->http_address = STAGGER_TRY(ParseHttpAddress(value));
  } else {
    return Error{
        fmt::format("unknown key '{}': known are policy, concurrency, demand_limit, spacing_ms, "
                    "devices, admission, mps, "
                    "socket, http, group, lease_floor_ms, record",
                    key)};
  }
  return {};
}

std::optional<std::string> Word(const YAML::Node& node) {
  return node.IsScalar() ? std::optional(node.Scalar()) : std::nullopt;
}

// A list as the command line takes it: with commas between.
std::optional<std::string> Words(const YAML::Node& node) {
  if (!node.IsSequence()) return Word(node);
  std::string words;
  for (const auto& item : node) {
    if (!item.IsScalar()) return std::nullopt;
    words += (words.empty() ? "" : ",") + item.Scalar();
  }
  return words;
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

Result<HttpAddress> ParseHttpAddress(const std::string& text) {
  const Error bad{fmt::format("http address '{}': HOST:PORT, PORT or off is expected", text)};
  HttpAddress address{"127.0.0.1", 0};
  std::string port = text;
  if (const std::size_t colon = text.rfind(':'); colon != std::string::npos) {
    address.host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']') {
      address.host = address.host.substr(1, address.host.size() - 2);
    } else if (address.host.find(':') != std::string::npos) {
      return bad;  // a bare IPv6 address: where its port begins is anybody's guess
    }
    if (address.host.empty()) return bad;
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc{} || end != port.data() + port.size() || address.port < 0 ||
      address.port > 65535) {
    return bad;
  }
  return address;
}

Result<void> ApplyConfigText(const std::string& file, const std::string& yaml, Options* options) {
  try {
    const YAML::Node root = YAML::Load(yaml);
    if (root.IsNull()) return {};
    if (!root.IsMap()) return Error{file + ":1: 'key: value' lines are expected"};
    std::set<std::string> seen;
    for (const auto& entry : root) {
      const int line = entry.first.Mark().line + 1;
      const auto key = entry.first.as<std::string>();
      if (!seen.insert(key).second) {
        return Error{fmt::format("{}:{}: '{}' is given twice", file, line, key)};
      }
      const auto value = key == "devices" ? Words(entry.second) : Word(entry.second);
      if (!value) {
        return Error{fmt::format("{}:{}: '{}' needs one value{}", file, line, key,
                                 key == "devices" ? ", or a list" : "")};
      }
      if (auto ok = Apply(key, *value, options); !ok) {
        return Error{fmt::format("{}:{}: {}", file, line, ok.error().message)};
      }
    }
  } catch (const YAML::Exception& e) {
    return Error{fmt::format("{}:{}: {}", file, e.mark.line + 1, FirstLine(e.msg))};
  }
  return {};
}

Result<ParsedOptions> ParseOptions(int argc, char** argv) {
  ParsedOptions parsed;
  std::string config;
  std::string socket;
  std::string policy;
  std::string concurrency;
  std::string demand_limit;
  std::string spacing;
  std::string devices;
  std::string admission;
  std::string mps;
  std::string http;
  std::string group;
  std::string lease_floor;
  std::string record;

  CLI::App app{"The Stagger daemon: gives every inference body its turn.", "staggerd"};
  app.set_version_flag("--version", std::string("staggerd ") + STAGGER_VERSION);
  app.add_option("--config", config, "YAML file with the same settings; the command line wins");
  app.add_option("--socket", socket, "Unix socket [$STAGGER_SOCKET, else per user]");
  app.add_option("--policy", policy,
                 fmt::format("Which body gets the next turn: {} [{}]",
                             core::PolicyNames(core::TurnsOf::kApps), core::PolicySpec{}.name));
  app.add_option("--concurrency", concurrency, "Turns at once per device [0: one per core]");
  app.add_option("--demand-limit", demand_limit,
                 "Bodies run together while what they fill of a device adds up to no more");
  app.add_option("--spacing", spacing, "Under spaced: ms between two starts [60]");
  app.add_option("--devices", devices,
                 "auto (the CPU and every GPU), cpu, or GPUs beside it: gpu:0,gpu:1 [auto]");
  app.add_option("--admission", admission,
                 "A stream that does not fit: warn, strict (it gets the rate that fits) or off "
                 "[warn]");
  app.add_option(
      "--mps", mps,
      "NVIDIA's MPS: auto (use it where it can be had), on (or do not start), off [off]");
  app.add_option("--http", http, "Dashboard address, or off [127.0.0.1:7878]");
  app.add_option("--group", group, "Group whose members may take part [nobody else]");
  app.add_option("--record", record, "Write every event to this new file, for stagger replay");
  app.add_option("--lease-floor", lease_floor, "Shortest lease in ms [250]");
  app.add_option(
      "--ready-fd", parsed.options.ready_fd,
      "Write 'READY http=ADDRESS' to this descriptor once clients may come, and close it");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() != 0) return Error{FirstLine(e.what())};
    std::ostringstream out;
    std::ostringstream err;
    app.exit(e, out, err);
    parsed.exit = true;
    parsed.text = out.str();
    return parsed;
  }

  Options& options = parsed.options;
  if (!config.empty()) {
    std::ifstream in(config);
    if (!in || std::filesystem::is_directory(config)) {
      return Error{"cannot read the configuration file " + config};
    }
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (auto ok = ApplyConfigText(config, text, &options); !ok) return ok.error();
  }
  const std::pair<const char*, const std::string*> given[] = {{"socket", &socket},
                                                              {"policy", &policy},
                                                              {"concurrency", &concurrency},
                                                              {"demand_limit", &demand_limit},
                                                              {"spacing_ms", &spacing},
                                                              {"devices", &devices},
                                                              {"admission", &admission},
                                                              {"mps", &mps},
                                                              {"http", &http},
                                                              {"group", &group},
                                                              {"lease_floor_ms", &lease_floor},
                                                              {"record", &record}};
  for (const auto& [key, value] : given) {
    if (value->empty()) continue;
    if (auto ok = Apply(key, *value, &options); !ok) return ok.error();
  }
  return parsed;
}

}  // namespace stagger::daemon
