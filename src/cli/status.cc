// stagger status: what a running daemon knows, as two tables or as its own JSON.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cli/verbs.h"
#include "console/arguments.h"
#include "console/json_fields.h"
#include "console/table.h"
#include "launch/daemon_control.h"

namespace stagger::cli {
namespace {

using nlohmann::json;

// A distribution's mean and p99, as "12.3 / 20.1".
std::string MeanP99(const json& object, const char* key) {
  const json* value = Find(object, key);
  if (value == nullptr) return "-";
  return Number(*value, "mean", 1) + " / " + Number(*value, "p99", 1);
}

// A JSON array's length, or the number itself.
std::string Count(const json& object, const char* key) {
  const json* value = Find(object, key);
  if (value == nullptr) return "-";
  return value->is_array() ? std::to_string(value->size()) : value->dump();
}

// What is used of what there is, as "3.1 of 16.1"; of GPUs only.
std::string Memory(const json& device) {
  if (Find(device, "memory_gb") == nullptr) return "-";
  return Number(device, "memory_used_gb", 1) + " of " + Number(device, "memory_gb", 1);
}

// "fits, 62 % of it, and one more like gate-1 at 7.5 fps".
std::string Admission(const json& device) {
  const json* verdict = Find(device, "admission");
  if (verdict == nullptr || !verdict->is_object()) return "-";
  const json* admitted = Find(*verdict, "admitted");
  if (admitted == nullptr || !admitted->is_boolean()) return "-";
  const std::string load = Percent(*verdict, "utilisation_ratio");
  if (!admitted->get<bool>()) return "does not fit, " + load;
  const json* headroom = Find(*verdict, "headroom");
  if (headroom == nullptr || !headroom->is_object()) return "fits, " + load + ", nothing more";
  return fmt::format("fits, {}, and one more like {} at {} fps", load, Text(*headroom, "like"),
                     Number(*headroom, "fps", 1));
}

// "MPS running: pid 123, pipes in /run/.../pipe", where it is asked for; and what is wrong with
// GPUs.
std::string GpuLines(const json& status) {
  std::string lines;
  const json* mps = Find(status, "mps");
  if (mps != nullptr && Text(*mps, "mode") != "off") {
    lines += "MPS " + Text(*mps, "state");
    if (Find(*mps, "pid") != nullptr) {
      const bool ours = Text(*mps, "ours") == "true";
      lines += fmt::format(": pid {}{}, pipes in {}", Text(*mps, "pid"), ours ? "" : " (not ours)",
                           Text(*mps, "pipe_directory"));
    }
    if (Find(*mps, "reason") != nullptr) lines += ": " + Text(*mps, "reason");
    if (Text(*mps, "restarts") != "0") lines += "; restarts: " + Text(*mps, "restarts");
    lines += "\n";
  }
  for (const json& device : ListOf(status, "devices")) {
    if (Find(device, "problem") == nullptr) continue;
    lines += fmt::format("{}: {}\n", Text(device, "name"), Text(device, "problem"));
  }
  for (const json& fault : ListOf(status, "faults")) {
    std::string names;
    for (const json& stream : ListOf(fault, "streams")) {
      names += (names.empty() ? "" : ", ") + Text(stream, "name");
    }
    const bool known = Find(fault, "culprit") != nullptr;
    lines +=
        fmt::format("{}: a fault {} s ago{} broke {}\n", Text(fault, "device"),
                    Number(fault, "for_s", 0), known ? " by " + Text(fault, "culprit") : "", names);
  }
  return lines;
}

// The executors that run its inferences; "the app", if it could forward and does not.
std::string On(const json& stream) {
  if (Find(stream, "on") == nullptr) return "-";
  std::string names;
  for (const json& name : ListOf(stream, "on")) {
    names += (names.empty() ? "" : ", ") + (name.is_string() ? name.get<std::string>() : "?");
  }
  return names.empty() ? "the app" : names;
}

// Where calls beyond the rate are not held back, which is the rule.
std::string ExcessLine(const json& stream) {
  const std::string excess = Text(stream, "excess");
  if (excess == "pass") {
    return fmt::format("{}: calls beyond its rate pass\n", Text(stream, "name"));
  }
  if (excess != "reuse") return "";
  const std::string refused = Text(stream, "reuse_refused");
  if (refused == "0" || refused == "-") {
    return fmt::format("{}: calls beyond its rate get the outputs of the call before\n",
                       Text(stream, "name"));
  }
  return fmt::format("{}: reuse cannot be had for {} of its sessions, whose calls all pass\n",
                     Text(stream, "name"), refused);
}

void Print(const json& status) {
  const json* policy = Find(status, "policy");
  if (policy != nullptr) {
    fmt::print("policy {}\n\n",
               policy->is_object() ? Text(*policy, "name") : Text(status, "policy"));
  }
  const json devices = ListOf(status, "devices");
  const bool gpus = std::ranges::any_of(
      devices, [](const json& device) { return Find(device, "model") != nullptr; });
  std::vector<std::string> head = {"DEVICE", "K",       "RUNNING",  "WAITING",
                                   "BUSY",   "OVERLAP", "ADMISSION"};
  if (gpus) head.insert(head.end(), {"MODEL", "MEMORY GB"});
  Table table_of_devices(std::move(head));
  for (const json& device : devices) {
    std::vector<std::string> row = {Text(device, "name"),
                                    Text(device, "concurrency"),
                                    Count(device, "running"),
                                    Count(device, "waiting"),
                                    Percent(device, "utilisation_ratio"),
                                    Percent(device, "overlap_ratio"),
                                    Admission(device)};
    if (gpus) row.insert(row.end(), {Text(device, "model"), Memory(device)});
    table_of_devices.AddRow(std::move(row));
  }
  fmt::print("{}{}\n", table_of_devices.ToString(), GpuLines(status));
  const json streams = ListOf(status, "streams");
  if (streams.empty()) {
    fmt::print("no streams yet; start an app with: stagger run -- CMD...\n");
    return;
  }
  const bool forwards = std::ranges::any_of(
      streams, [](const json& stream) { return Find(stream, "on") != nullptr; });
  std::vector<std::string> columns = {"STREAM",  "PID",     "STATE",       "WANTS",
                                      "GETS",    "FPS",     "DONE",        "SKIPPED",
                                      "WAIT ms", "BODY ms", "INFERENCE ms"};
  if (forwards) columns.emplace_back("ON");
  Table table(std::move(columns));
  std::string verdicts;
  for (const json& stream : streams) {
    std::vector<std::string> row = {Text(stream, "name"),
                                    Text(stream, "pid"),
                                    Text(stream, "state"),
                                    Number(stream, "fps_required", 1),
                                    Number(stream, "fps_assigned", 1),
                                    Number(stream, "fps", 1),
                                    Text(stream, "done"),
                                    Text(stream, "skipped"),
                                    MeanP99(stream, "wait_ms"),
                                    MeanP99(stream, "body_ms"),
                                    MeanP99(stream, "inference_ms")};
    if (forwards) row.push_back(On(stream));
    table.AddRow(std::move(row));
    const std::string code = Text(stream, "verdict_code");
    if (code != "fits" && code != "forwarded" && code != "-") {
      verdicts += fmt::format("{}: {}\n", Text(stream, "name"), Text(stream, "verdict"));
    }
    verdicts += ExcessLine(stream);
  }
  fmt::print("{}(times: mean / p99 of the most recent)\n{}", table.ToString(), verdicts);
}

}  // namespace

int StatusVerb(const Arguments& arguments) {
  CLI::App app{"Shows each stream and device of a running daemon.", "stagger status"};
  bool as_json = false;
  std::string socket;
  app.add_flag("--json", as_json, "one JSON object instead of tables");
  app.add_option("--socket", socket, "the daemon's socket");
  if (const auto code = ParseArguments(app, arguments)) return *code;
  socket = SocketPath(socket);

  const Result<nlohmann::json> status = AskDaemon(socket, "status");
  if (!status) {
    PrintError(status.error().message);
    return kExitFailed;
  }
  if (as_json) {
    fmt::print("{}\n", status->dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    Print(*status);
  }
  return kExitOk;
}

}  // namespace stagger::cli
