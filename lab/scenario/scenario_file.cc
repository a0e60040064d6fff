#include "lab/scenario/scenario_file.h"

#include <fmt/core.h>

#include <cmath>
#include <map>
#include <set>

#include "base/try.h"
#include "console/yaml_reader.h"
#include "core/policies.h"

namespace stagger::cli {
namespace {

constexpr double kMaxSeconds = 1e6;
constexpr double kMaxMs = 1e9;
constexpr double kMaxFactor = 1000;
constexpr int kMaxDraws = 1'000'000;
constexpr int kMaxCount = 1'000'000;
constexpr int kMaxBatch = 1024;

Duration FromSeconds(double seconds) { return FromMs(seconds * 1000); }

class ScenarioReader : private YamlReader {
 public:
  explicit ScenarioReader(const std::string& path) : YamlReader(path) {}

  sim::Scenario Read(const YAML::Node& root) {
    if (!root.IsMap()) Fail(root, "a scenario is a map with 'seconds' and 'streams'");
    CheckKeys(root, "",
              {"seconds", "warmup_seconds", "draws", "policy", "spacing_ms", "concurrency",
               "demand_limit", "handoff_ms", "jitter", "deadline_from", "queue", "overload",
               "devices", "executors", "streams"});
    scenario_.policy.name = "edf";
    scenario_.policy.concurrency = 1;
    if (!root["seconds"]) Fail(root, "seconds: missing; expected how long to simulate");
    scenario_.length = FromSeconds(Positive(root["seconds"], "seconds", "a time"));
    if (scenario_.length > FromSeconds(kMaxSeconds)) {
      Fail(root["seconds"], fmt::format("seconds: expected at most {:g}", kMaxSeconds));
    }
    if (const YAML::Node node = root["warmup_seconds"]) {
      scenario_.warmup = FromSeconds(Number(node, "warmup_seconds", 0, kMaxSeconds));
    }
    if (const YAML::Node node = root["draws"]) {
      scenario_.draws = Whole(node, "draws", "a count", 1, kMaxDraws);
    }
    if (const YAML::Node node = root["policy"]) {
      scenario_.policy.name = Shown(node);
      const Result<void> known =
          core::CheckPolicyName(scenario_.policy.name, core::TurnsOf::kSimulations);
      if (!known) Fail(node, "policy: " + known.error().message);
    }
    if (const YAML::Node node = root["spacing_ms"]) {
      scenario_.policy.spacing = FromMs(Number(node, "spacing_ms", 0, ToMs(core::kMaxSpacing)));
    }
    if (const YAML::Node node = root["concurrency"]) {
      if (node.IsScalar() && node.Scalar() == "auto") {
        scenario_.policy.auto_concurrency = true;
      } else {
        scenario_.policy.concurrency =
            Whole(node, "concurrency", "a limit", 1, core::kMaxConcurrency, "'auto' or ");
      }
    }
    if (const YAML::Node node = root["demand_limit"]) {
      scenario_.policy.demand_limit = Number(node, "demand_limit", 1, core::kMaxDemandLimit);
      if (scenario_.policy.auto_concurrency) {
        Fail(node, "demand_limit: not beside concurrency 'auto'; expected only one of them");
      }
      if (!root["concurrency"]) scenario_.policy.concurrency = 0;
    }
    if (const YAML::Node node = root["handoff_ms"]) {
      scenario_.handoff = FromMs(Number(node, "handoff_ms", 0, kMaxMs));
    }
    if (const YAML::Node node = root["jitter"]) scenario_.jitter = Number(node, "jitter", 0, 2);
    if (const YAML::Node node = root["deadline_from"]) {
      scenario_.deadline_from = OneOf<sim::DeadlineFrom>(
          node, "deadline_from",
          {{"arrival", sim::DeadlineFrom::kArrival}, {"call", sim::DeadlineFrom::kCall}});
    }
    if (const YAML::Node node = root["queue"]) {
      scenario_.queue = OneOf<sim::Queue>(
          node, "queue", {{"drop", sim::Queue::kDrop}, {"latest", sim::Queue::kLatest}});
    }
    if (const YAML::Node node = root["overload"]) {
      scenario_.policy.elastic =
          OneOf<bool>(node, "overload", {{"elastic", true}, {"none", false}});
    }
    Devices(root["devices"]);
    Executors(root["executors"]);
    const YAML::Node streams = root["streams"];
    if (!streams) Fail(root, "streams: missing; expected a list of streams");
    if (!streams.IsSequence() || streams.size() == 0) {
      Fail(streams, "streams: expected a list with at least one stream");
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
      Stream(streams[i], fmt::format("streams[{}]", i));
    }
    return std::move(scenario_);
  }

 private:
  template <typename T>
  T OneOf(const YAML::Node& node, const std::string& where, const std::map<std::string, T>& known) {
    const auto found = known.find(node.IsScalar() ? node.Scalar() : "");
    if (found != known.end()) return found->second;
    std::string names;
    for (const auto& [name, value] : known) names += (names.empty() ? "" : " or ") + name;
    Fail(node, fmt::format("{}: {}; expected {}", where, Shown(node), names));
  }

  std::string Name(const YAML::Node& map, const std::string& where) const {
    const YAML::Node node = map["name"];
    if (!node) Fail(map, where + ": no name; every one needs one");
    if (!node.IsScalar() || node.Scalar().empty()) {
      Fail(node, fmt::format("{}.name: {} is not a name", where, Shown(node)));
    }
    return node.Scalar();
  }

  void Devices(const YAML::Node& list) {
    if (!list) {
      scenario_.devices.push_back({.name = "gpu0"});
      return;
    }
    if (!list.IsSequence() || list.size() == 0) {
      Fail(list, "devices: expected a list with at least one device");
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string where = fmt::format("devices[{}]", i);
      const YAML::Node node = list[i];
      if (!node.IsMap()) Fail(node, where + ": expected a map with name");
      CheckKeys(node, where, {"name", "sigma", "w", "g", "memory_gb"});
      sim::DeviceModel device;
      device.name = Name(node, where);
      const auto factor = [&](const char* field, double* value) {
        if (const YAML::Node given = node[field]) {
          *value = Number(given, where + "." + field, 0, kMaxFactor);
        }
      };
      factor("sigma", &device.sigma);
      factor("w", &device.w);
      factor("g", &device.g);
      if (const YAML::Node given = node["memory_gb"]) {
        device.memory_gb = Positive(given, where + ".memory_gb", "a size");
      }
      if (!device_of_.emplace(device.name, i).second) {
        Fail(node["name"], fmt::format("{}.name: '{}' twice", where, device.name));
      }
      scenario_.devices.push_back(std::move(device));
    }
  }

  void Executors(const YAML::Node& list) {
    if (!list) return;
    if (!list.IsSequence()) Fail(list, "executors: expected a list of executors");
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string where = fmt::format("executors[{}]", i);
      const YAML::Node node = list[i];
      if (!node.IsMap()) Fail(node, where + ": expected a map with name and batch_ms or batch_fps");
      CheckKeys(node, where, {"name", "device", "max_batch", "batch_ms", "batch_fps"});
      sim::ExecutorModel executor;
      executor.name = Name(node, where);
      executor.device = Device(node["device"], where);
      executor.curve = Curve(node, where);
      executor.max_batch = executor.curve.back().first;
      if (const YAML::Node given = node["max_batch"]) {
        executor.max_batch = Whole(given, where + ".max_batch", "a size that its curve knows", 1,
                                   executor.max_batch);
      }
      if (!executor_of_.emplace(executor.name, i).second) {
        Fail(node["name"], fmt::format("{}.name: '{}' twice", where, executor.name));
      }
      scenario_.executors.push_back(std::move(executor));
    }
  }

  // What so many items take: as times, or as items per second.
  std::vector<std::pair<int, Duration>> Curve(const YAML::Node& node, const std::string& where) {
    const bool times = node["batch_ms"].IsDefined();
    const YAML::Node map = times ? node["batch_ms"] : node["batch_fps"];
    const std::string field = where + (times ? ".batch_ms" : ".batch_fps");
    if (times == node["batch_fps"].IsDefined()) {
      Fail(node, where + ": expected either batch_ms or batch_fps");
    }
    if (!map.IsMap()) Fail(map, field + ": expected a map, as in {1: 10.3, 2: 14.9}");
    std::map<int, Duration> curve;
    for (const auto& point : map) {
      const int items = Whole(point.first, field, "a number of items", 1, kMaxBatch);
      const double value =
          Positive(point.second, fmt::format("{}[{}]", field, items), times ? "a time" : "a rate");
      curve[items] = FromMs(times ? value : 1000.0 * items / value);
    }
    if (!curve.contains(1)) Fail(map, field + ": no 1; expected what one item takes");
    return {curve.begin(), curve.end()};
  }

  std::size_t Device(const YAML::Node& given, const std::string& where) const {
    if (!given) return 0;
    const auto found = device_of_.find(given.IsScalar() ? given.Scalar() : "");
    if (found == device_of_.end()) {
      Fail(given, fmt::format("{}.device: {} is not a device of this file", where, Shown(given)));
    }
    return found->second;
  }

  // Its body is what the executor's curve says; it runs on the executor's device.
  void SendsTo(const YAML::Node& node, const std::string& where, sim::StreamModel* stream) const {
    const YAML::Node given = node["executor"];
    const auto found = executor_of_.find(given.IsScalar() ? given.Scalar() : "");
    if (found == executor_of_.end()) {
      Fail(given,
           fmt::format("{}.executor: {} is not an executor of this file", where, Shown(given)));
    }
    for (const char* field : {"body_ms", "device", "demand"}) {
      if (node[field]) Fail(node[field], fmt::format("{}.{}: not beside executor", where, field));
    }
    const sim::ExecutorModel& executor = scenario_.executors[found->second];
    stream->executor = found->second;
    stream->device = executor.device;
    stream->body = executor.curve.front().second;
  }

  void Stream(const YAML::Node& node, const std::string& where) {
    if (!node.IsMap()) Fail(node, where + ": expected a map with name, fps and body_ms");
    CheckKeys(node, where,
              {"name", "count", "fps", "period_ms", "phase_ms", "pre_ms", "body_ms", "post_ms",
               "app_ms", "demand", "deadline_ms", "weight", "min_fps", "device", "executor",
               "start_s", "stop_s", "camera_fps", "excess"});
    sim::StreamModel stream;
    stream.group = Name(node, where);
    if (!groups_.insert(stream.group).second) {
      Fail(node["name"], fmt::format("{}.name: '{}' twice; use count", where, stream.group));
    }
    Rate(node, where, &stream);
    Camera(node, where, &stream);
    if (node["executor"]) {
      SendsTo(node, where, &stream);
    } else {
      if (!node["body_ms"]) Fail(node, where + ": no body_ms; expected how long its body takes");
      stream.body = FromMs(Positive(node["body_ms"], where + ".body_ms", "a time"));
      stream.device = Device(node["device"], where);
    }
    const auto time = [&](const char* field, Duration* value) {
      if (const YAML::Node given = node[field]) {
        *value = FromMs(Number(given, where + "." + field, 0, kMaxMs));
      }
    };
    time("pre_ms", &stream.pre);
    time("post_ms", &stream.post);
    time("app_ms", &stream.app);
    stream.deadline = stream.period;
    if (const YAML::Node given = node["deadline_ms"]) {
      stream.deadline = FromMs(Positive(given, where + ".deadline_ms", "a time"));
    }
    if (const YAML::Node given = node["demand"]) {
      stream.demand = Positive(given, where + ".demand", "a part of the device");
      if (stream.demand > 1) Fail(given, where + ".demand: expected at most 1, the whole device");
    }
    if (const YAML::Node given = node["weight"]) {
      stream.weight = Positive(given, where + ".weight", "a weight");
    }
    if (const YAML::Node given = node["min_fps"]) {
      stream.min_fps = Number(given, where + ".min_fps", 0, 1e6);
    }
    if (const YAML::Node given = node["start_s"]) {
      stream.start = FromSeconds(Number(given, where + ".start_s", 0, kMaxSeconds));
    }
    if (const YAML::Node given = node["stop_s"]) {
      stream.stop = FromSeconds(Number(given, where + ".stop_s", 0, kMaxSeconds));
      if (*stream.stop <= stream.start) Fail(given, where + ".stop_s: expected after start_s");
    }
    const int count =
        node["count"] ? Whole(node["count"], where + ".count", "a count", 1, kMaxCount) : 1;
    const std::vector<std::optional<Duration>> phases = Phases(node["phase_ms"], where, count);
    for (int i = 0; i < count; ++i) {
      stream.name = count > 1 ? fmt::format("{}-{}", stream.group, i + 1) : stream.group;
      stream.phase = phases[static_cast<std::size_t>(i)];
      scenario_.streams.push_back(stream);
    }
  }

  void Rate(const YAML::Node& node, const std::string& where, sim::StreamModel* stream) const {
    const YAML::Node fps = node["fps"];
    const YAML::Node period = node["period_ms"];
    if (fps && period) Fail(period, where + ".period_ms: expected either fps or period_ms");
    if (!fps && !period)
      Fail(node, where + ": no fps; expected a rate, or 0: always a frame ready");
    if (period) {
      stream->period = FromMs(Positive(period, where + ".period_ms", "a time"));
      return;
    }
    const double rate = Number(fps, where + ".fps", 0, 1e6);
    if (rate > 0) stream->period = Duration{std::llround(1e9 / rate)};
  }

  // A camera that gives more than is needed.
  void Camera(const YAML::Node& node, const std::string& where, sim::StreamModel* stream) {
    if (const YAML::Node given = node["camera_fps"]) {
      if (stream->period == Duration{}) {
        Fail(given, where + ".camera_fps: only beside the rate that is needed (fps above 0)");
      }
      const double rate = Number(given, where + ".camera_fps", 0, 1e6);
      stream->camera_period = rate > 0 ? Duration{std::llround(1e9 / rate)} : Duration{};
    }
    if (const YAML::Node given = node["excess"]) {
      if (stream->period == Duration{}) {
        Fail(given, where + ".excess: only beside the rate that is needed (fps above 0)");
      }
      const std::optional<Excess> excess = ParseExcess(given.IsScalar() ? given.Scalar() : "");
      if (!excess) {
        Fail(given, fmt::format("{}.excess: {}; expected {}", where, Shown(given), kExcessNames));
      }
      stream->excess = *excess;
    }
  }

  std::vector<std::optional<Duration>> Phases(const YAML::Node& node, const std::string& where,
                                              int count) const {
    const auto size = static_cast<std::size_t>(count);
    if (!node) return std::vector<std::optional<Duration>>(size, Duration{});
    if (node.IsScalar() && node.Scalar() == "random") {
      return std::vector<std::optional<Duration>>(size);
    }
    if (!node.IsSequence()) {
      const Duration phase = FromMs(Number(node, where + ".phase_ms", 0, kMaxMs));
      return std::vector<std::optional<Duration>>(size, phase);
    }
    if (node.size() != size) {
      Fail(node, fmt::format("{}.phase_ms: a list of {}; expected one for each of {} streams",
                             where, node.size(), count));
    }
    std::vector<std::optional<Duration>> phases;
    for (std::size_t i = 0; i < node.size(); ++i) {
      phases.emplace_back(
          FromMs(Number(node[i], fmt::format("{}.phase_ms[{}]", where, i), 0, kMaxMs)));
    }
    return phases;
  }

  sim::Scenario scenario_;
  std::map<std::string, std::size_t> device_of_;
  std::map<std::string, std::size_t> executor_of_;
  std::set<std::string> groups_;
};

}  // namespace

Result<sim::Scenario> ParseScenario(const std::string& text, const std::string& path) {
  sim::Scenario scenario;
  const Result<void> read =
      ReadYaml(text, path, "a map with 'seconds' and 'streams'",
               [&](const YAML::Node& root) { scenario = ScenarioReader(path).Read(root); });
  if (!read) return read.error();
  return scenario;
}

Result<sim::Scenario> ReadScenario(const std::string& path) {
  return ParseScenario(STAGGER_TRY(ReadTextFile(path, "a scenario file")), path);
}

}  // namespace stagger::cli
