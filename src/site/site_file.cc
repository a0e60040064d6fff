#include "site/site_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/try.h"
#include "console/yaml_reader.h"
#include "core/policies.h"
#include "device/device_choice.h"

namespace stagger::cli {
namespace {

constexpr int kMaxCopies = 100'000;
constexpr double kMaxMs = 1e9;
constexpr double kMaxSpeed = 1000;
constexpr double kLeastShare = 0.01;

// Of an app, as complaints list them.
const std::vector<std::string> kAppFields = {"name",    "command",
#define STAGGER_TOLD_SETTING(field, ...) #field,
#include "base/stream_settings.inc"
                                             "copies",  "env",
#define STAGGER_KEPT_SETTING(field, ...) #field,
#include "base/stream_settings.inc"
                                             "profile", "executor", "pipeline", "excess"};

class SiteReader : private YamlReader {
 public:
  explicit SiteReader(const std::string& path) : YamlReader(path), path_(path) {}

  Site Read(const YAML::Node& root) {
    if (!root.IsMap()) Fail(root, "a site file is a map with 'apps'");
    CheckKeys(root, "",
              {"policy", "concurrency", "demand_limit", "devices", "mps", "on_move", "apps"});
    Site site;
    site.folder = std::filesystem::absolute(path_).parent_path().string();
    if (const YAML::Node node = root["policy"]) {
      site.policy = Shown(node);
      const Result<void> known = core::CheckPolicyName(site.policy, core::TurnsOf::kApps);
      if (!known) Fail(node, "policy: " + known.error().message);
    }
    if (const YAML::Node node = root["concurrency"]) site.concurrency = Concurrency(node);
    if (const YAML::Node node = root["demand_limit"]) {
      site.demand_limit = Number(node, "demand_limit", 1, core::kMaxDemandLimit);
      if (site.concurrency == "auto") {
        Fail(node, "demand_limit: not beside concurrency 'auto'; expected only one of them");
      }
    }
    if (const YAML::Node node = root["devices"]) {
      if (node.IsSequence() && node.size() > 0 && node[0].IsMap()) {
        for (std::size_t i = 0; i < node.size(); ++i) Declared(node[i], i, &site);
        CheckBacking(node, &site);
      } else {
        Devices(node, &site);
      }
    }
    if (const YAML::Node node = root["mps"]) {
      site.mps = node.IsScalar() ? node.Scalar() : "";
      if (site.mps != "auto" && site.mps != "on" && site.mps != "off") {
        Fail(node, fmt::format("mps: {} is unknown; expected auto, on or off", Shown(node)));
      }
    }
    if (const YAML::Node node = root["on_move"]) {
      const std::string word = node.IsScalar() ? node.Scalar() : "";
      if (word != "restart" && word != "wait") {
        Fail(node, fmt::format("on_move: {} is unknown; expected restart (an app whose GPU is "
                               "another now is started again there), or wait",
                               Shown(node)));
      }
      site.restart_on_move = word == "restart";
    }
    const YAML::Node apps = root["apps"];
    if (!apps) Fail(root, "apps: missing; expected a list of apps");
    if (!apps.IsSequence() || apps.size() == 0)
      Fail(apps, "apps: expected a list with at least one app");
    for (std::size_t i = 0; i < apps.size(); ++i) App(apps[i], fmt::format("apps[{}]", i), &site);
    const bool used =
        std::ranges::any_of(site.apps, [](const SiteApp& app) { return app.executor; });
    if (!site.cores.empty() && !used) {
      Fail(root["devices"], "devices: names CPU cores, but no app has 'executor: true'");
    }
    return site;
  }

 private:
  std::string Concurrency(const YAML::Node& node) const {
    if (node.IsScalar() && node.Scalar() == "auto") return "auto";
    return std::to_string(
        Whole(node, "concurrency", "a limit", 1, core::kMaxConcurrency, "'auto' or "));
  }

  void Devices(const YAML::Node& node, Site* site) const {
    std::string list = node.IsScalar() ? node.Scalar() : "";
    std::vector<std::string> cores;
    for (const auto& item : node) {
      if (!node.IsSequence() || !item.IsScalar()) {
        Fail(node, "devices: expected 'auto', or a list as in [gpu:0, gpu:1] or [cpu:0, cpu:1]");
      }
      if (IsCore(item.Scalar())) {
        if (std::ranges::count(cores, item.Scalar()) > 0) {
          Fail(item,
               fmt::format("devices: {} is named twice; expected each core once", item.Scalar()));
        }
        cores.push_back(item.Scalar());
        continue;
      }
      list += (list.empty() ? "" : ",") + item.Scalar();
    }
    // cpu:0 alone is all cores taken as one; beside others, each is one core.
    if (cores == std::vector<std::string>{"cpu:0"}) {
      list += list.empty() ? "cpu" : ",cpu";
    } else {
      site->cores = cores;
    }
    if (list.empty()) list = "cpu";
    if (const auto choice = device::ParseDeviceChoice(list); !choice) {
      Fail(node, choice.error().message);
    }
    site->devices = list;
  }

  static bool IsCore(const std::string& word) {
    return word.starts_with("cpu:") && word.size() > 4 && word.size() < 9 &&
           std::all_of(word.begin() + 4, word.end(), [](char c) { return c >= '0' && c <= '9'; });
  }

  void Declared(const YAML::Node& node, std::size_t index, Site* site) {
    const std::string where = fmt::format("devices[{}]", index);
    if (!node.IsMap()) Fail(node, where + ": expected a map with name, speed and memory_gb");
    CheckKeys(node, where, {"name", "count", "speed", "memory_gb", "on", "share", "executor"});
    SiteDevice backed;
    placement::PlanDevice& device = backed.plan;
    const std::string name = Name(node, where, "device");
    if (const YAML::Node value = node["on"]) Backing(value, where, &backed);
    if (const YAML::Node value = node["executor"]) {
      if (device.kind != placement::DeviceKind::kGpu) {
        Fail(value, where + ".executor: only beside a GPU, as in on: gpu:0; a core always has one");
      }
      if (Truth(value, where + ".executor")) device.kind = placement::DeviceKind::kAny;
    }
    if (const YAML::Node value = node["share"]) {
      if (!IsCore(backed.on)) {
        Fail(value, where + ".share: only beside one core, as in on: cpu:1");
      }
      backed.share = Number(value, where + ".share", kLeastShare, 1);
      device.speed = backed.share;
    }
    if (const YAML::Node value = node["speed"]) {
      device.speed = Positive(value, where + ".speed", "a speed, where 1 is a T4's,");
      if (device.speed > kMaxSpeed)
        Fail(value, fmt::format("{}.speed: expected at most {:g}", where, kMaxSpeed));
    }
    if (const YAML::Node value = node["memory_gb"]) {
      device.memory_gb = Positive(value, where + ".memory_gb", "a size");
    }
    const YAML::Node count = node["count"];
    if (count && !backed.on.empty()) {
      Fail(count, fmt::format("{}.count: not beside 'on', which is one device", where));
    }
    const int devices = count ? Whole(count, where + ".count", "a count", 1, kMaxCopies) : 1;
    for (int i = 1; i <= devices; ++i) {
      device.name = count ? fmt::format("{}-{}", name, i) : name;
      if (!devices_.insert(device.name).second) {
        Fail(node["name"], fmt::format("{}.name: '{}' twice", where, device.name));
      }
      site->declared.push_back(backed);
    }
  }

  void Backing(const YAML::Node& node, const std::string& where, SiteDevice* device) const {
    device->on = node.IsScalar() ? node.Scalar() : "";
    const bool executor = device->on == "cpu" || IsCore(device->on);
    const auto choice = device::ParseDeviceChoice(device->on);
    if (!executor && (!choice || choice->gpus.size() != 1)) {
      Fail(node, fmt::format("{}.on: {} is no device; expected cpu, one core as in cpu:1, or a GPU "
                             "as in gpu:0",
                             where, Shown(node)));
    }
    device->plan.kind = executor ? placement::DeviceKind::kExecutor : placement::DeviceKind::kGpu;
  }

  // Nothing is promised twice.
  void CheckBacking(const YAML::Node& node, Site* site) const {
    std::map<std::string, double> taken;
    std::string gpus;
    for (std::size_t i = 0; i < site->declared.size(); ++i) {
      const SiteDevice& device = site->declared[i];
      if (device.on.empty() != site->declared.front().on.empty()) {
        Fail(node, fmt::format("devices: {} says what it is on and {} does not; expected all or "
                               "none to",
                               site->declared[device.on.empty() ? 0 : i].plan.name,
                               site->declared[device.on.empty() ? i : 0].plan.name));
      }
      if (device.on.empty()) continue;
      if ((taken[device.on] += device.share) > 1 + 1e-9) {
        Fail(node, device.plan.kind == placement::DeviceKind::kExecutor && IsCore(device.on)
                       ? fmt::format("devices: {} of {} is given away; expected shares of at most "
                                     "1 in all",
                                     taken[device.on], device.on)
                       : fmt::format("devices: {} is on {}, as another is; expected each once",
                                     device.plan.name, device.on));
      }
      if (device.on.starts_with("gpu:")) {
        gpus += (gpus.empty() ? "" : ",") + device.on;
      }
    }
    if (taken.contains("cpu") &&
        std::ranges::any_of(taken, [](const auto& entry) { return IsCore(entry.first); })) {
      Fail(node, "devices: one is on cpu, which is all cores, and another on one of them");
    }
    if (!site->declared.front().on.empty()) site->devices = gpus.empty() ? "cpu" : gpus;
  }

  SiteProfile Profile(const YAML::Node& node, const std::string& where) const {
    if (!node.IsMap()) Fail(node, where + ".profile: expected a map with body_ms");
    CheckKeys(node, where + ".profile",
              {"pre_ms", "body_ms", "post_ms", "load_ms", "memory_gb", "here"});
    SiteProfile profile;
    if (!node["body_ms"])
      Fail(node, where + ".profile: no body_ms; expected how long a body takes");
    profile.body_ms = Positive(node["body_ms"], where + ".profile.body_ms", "a time");
    const auto read = [&](const char* field, double most, double* value) {
      if (const YAML::Node given = node[field]) {
        *value = Number(given, where + ".profile." + field, 0, most);
      }
    };
    read("body_ms", kMaxMs, &profile.body_ms);
    read("pre_ms", kMaxMs, &profile.pre_ms);
    read("post_ms", kMaxMs, &profile.post_ms);
    read("load_ms", kMaxMs, &profile.load_ms);
    read("memory_gb", kMaxMs, &profile.memory_gb);
    if (const YAML::Node here = node["here"]) {
      profile.here = Truth(here, where + ".profile.here");
    }
    return profile;
  }

  std::string Name(const YAML::Node& app, const std::string& where,
                   const std::string& what = "app") const {
    const YAML::Node node = app["name"];
    if (!node) Fail(app, where + ": no name; every " + what + " needs one");
    if (!node.IsScalar() || node.Scalar().empty()) {
      Fail(node, fmt::format("{}.name: {} is not a name", where, Shown(node)));
    }
    return node.Scalar();
  }

  std::vector<std::string> Command(const YAML::Node& app, const std::string& where) const {
    const YAML::Node node = app["command"];
    if (!node)
      Fail(app, where + ": no command; expected e.g. command: [camera-detector, --fps, \"10\"]");
    if (node.IsScalar()) {
      Fail(node, where +
                     ".command: a plain text; expected a list, one word each, since no shell "
                     "takes it apart: [program, argument, ...]");
    }
    if (!node.IsSequence() || node.size() == 0) {
      Fail(node, where + ".command: expected a list: [program, argument, ...]");
    }
    std::vector<std::string> words;
    for (std::size_t i = 0; i < node.size(); ++i) {
      if (!node[i].IsScalar()) {
        Fail(node[i], fmt::format("{}.command[{}]: {} is not a word", where, i, Shown(node[i])));
      }
      words.push_back(node[i].Scalar());
    }
    if (words.front().empty()) Fail(node[0], where + ".command[0]: an empty program name");
    return words;
  }

  Environment Variables(const YAML::Node& node, const std::string& where) const {
    Environment environment;
    if (!node) return environment;
    if (!node.IsMap()) Fail(node, where + ".env: expected a map of names to texts");
    for (const auto& entry : node) {
      const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (name.empty() || name.find('=') != std::string::npos) {
        Fail(entry.first, fmt::format("{}.env: '{}' is not a variable's name", where, name));
      }
      if (!entry.second.IsScalar()) {
        Fail(entry.second, fmt::format("{}.env.{}: expected a text", where, name));
      }
      environment[name] = entry.second.Scalar();
    }
    return environment;
  }

  void App(const YAML::Node& node, const std::string& where, Site* site) {
    if (!node.IsMap()) Fail(node, where + ": expected a map with name and command");
    CheckKeys(node, where, kAppFields);
    const std::string name = Name(node, where);
    SiteApp app;
    app.app = name;
    if (const YAML::Node value = node["profile"]) app.profile = Profile(value, where);
    std::vector<std::string> command;
    if (node["command"] || !app.profile) command = Command(node, where);
    app.environment = Variables(node["env"], where);
#define STAGGER_TOLD_SETTING(field, spec, type, unset, flag, variable, low, high, kind, help) \
  if (const YAML::Node value = node[#field]) {                                                \
    app.stream.field = Positive(value, where + "." #field, kind);                             \
  }
#define STAGGER_KEPT_SETTING(field, flag, low, high, help)           \
  if (const YAML::Node value = node[#field]) {                       \
    app.stream.field = Number(value, where + "." #field, low, high); \
  }
#include "base/stream_settings.inc"
    if (const YAML::Node value = node["executor"]) Executor(value, where, *site, &app);
    if (const YAML::Node value = node["pipeline"]) {
      if (!app.executor) {
        Fail(value, where +
                        ".pipeline: only beside 'executor: true', which has other processes run "
                        "the frames");
      }
      app.stream.pipeline = Whole(value, where + ".pipeline", "a number of calls", 1, kMaxPipeline);
    }
    if (const YAML::Node value = node["excess"]) {
      app.stream.excess = ParseExcess(value.IsScalar() ? value.Scalar() : "");
      if (!app.stream.excess) {
        Fail(value, fmt::format("{}.excess: {}; expected {}", where, Shown(value), kExcessNames));
      }
      if (const Result<void> valid = CheckExcess(app.stream); !valid) {
        Fail(value, fmt::format("{}.excess: {}", where, valid.error().message));
      }
    }
    const YAML::Node copies = node["copies"];
    const int count = copies ? Whole(copies, where + ".copies", "a count", 1, kMaxCopies) : 1;
    for (int copy = 1; copy <= count; ++copy) {
      app.stream.name = copies ? fmt::format("{}-{}", name, copy) : name;
      app.command = command;
      for (std::string& word : app.command) ReplaceNumber(&word, copy);
      if (const Result<void> valid = CheckStreamName(app.stream.name); !valid) {
        Fail(node["name"], fmt::format("{}.name: {}", where, valid.error().message));
      }
      if (const auto [first, fresh] = names_.emplace(app.stream.name, node["name"].Mark().line + 1);
          !fresh) {
        Fail(node["name"],
             fmt::format("{}.name: '{}' is already the app of line {}; names must differ", where,
                         app.stream.name, first->second));
      }
      site->apps.push_back(app);
    }
  }

  void Executor(const YAML::Node& node, const std::string& where, const Site& site,
                SiteApp* app) const {
    app->executor = Truth(node, where + ".executor");
    const bool declared = std::ranges::any_of(
        site.declared, [](const SiteDevice& device) { return device.has_executor(); });
    if (app->executor && site.cores.empty() && !declared && site.devices != "auto") {
      Fail(node, where +
                     ".executor: needs cores to run on, as in devices: [cpu:0, cpu:1], or {name: "
                     "a, on: cpu:0, ...}, or a GPU that has one: {name: g, on: gpu:0, executor: "
                     "true, ...}");
    }
  }

  bool Truth(const YAML::Node& node, const std::string& where) const {
    const std::string word = node.IsScalar() ? node.Scalar() : "";
    if (word != "true" && word != "false") {
      Fail(node, fmt::format("{}: {} is neither true nor false", where, Shown(node)));
    }
    return word == "true";
  }

  static void ReplaceNumber(std::string* word, int copy) {
    const std::string number = std::to_string(copy);
    for (std::size_t at = 0; (at = word->find("{n}", at)) != std::string::npos;
         at += number.size()) {
      word->replace(at, 3, number);
    }
  }

  std::string path_;
  std::map<std::string, int> names_;  // and the line each was given in
  std::set<std::string> devices_;
};

}  // namespace

Result<Site> ParseSite(const std::string& text, const std::string& path) {
  Site site;
  const Result<void> read = ReadYaml(text, path, "a map with 'apps'", [&](const YAML::Node& root) {
    site = SiteReader(path).Read(root);
  });
  if (!read) return read.error();
  return site;
}

Result<Site> ReadSite(const std::string& path) {
  const std::string text = STAGGER_TRY(ReadTextFile(path, "a site file"));
  return ParseSite(text, path);
}

}  // namespace stagger::cli
