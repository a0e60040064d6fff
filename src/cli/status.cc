// stagger status: what a running daemon knows, as two tables or as its own JSON.
#include "documents/status.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cli/verbs.h"
#include "console/arguments.h"
#include "console/sentences.h"
#include "console/table.h"
#include "documents/json.h"
#include "launch/daemon_control.h"

namespace stagger::cli {
namespace {

using documents::Device;
using documents::Number;
using documents::Stream;

std::string Figure(const Number& number) { return number ? fmt::format("{:.1f}", *number) : "-"; }

std::string Percent(const Number& ratio) {
  return ratio ? fmt::format("{:.1f} %", *ratio * 100) : "-";
}

// A distribution's mean and p99, as "12.3 / 20.1".
std::string MeanP99(const documents::Summary& summary) {
  return Figure(summary.mean) + " / " + Figure(summary.p99);
}

// What is used of what there is, as "3.1 of 16.1"; of GPUs only.
std::string Memory(const Device& device) {
  return device.memory_gb ? Figure(device.memory_used_gb) + " of " + Figure(device.memory_gb) : "-";
}

// "fits, 62 % of it, and one more like gate-1 at 7.5 fps".
std::string Admission(const Device& device) {
  if (!device.admission) return "-";
  const documents::Admission& verdict = *device.admission;
  const std::string load = Percent(verdict.utilisation_ratio);
  if (!verdict.admitted) return "does not fit, " + load;
  if (!verdict.headroom) return "fits, " + load + ", nothing more";
  return fmt::format("fits, {}, and one more like {} at {:.1f} fps", load, verdict.headroom->like,
                     verdict.headroom->fps);
}

// "MPS running: pid 123, pipes in /run/.../pipe", where it is asked for; and what is wrong with
// GPUs.
std::string GpuLines(const documents::Status& status) {
  std::string lines;
  const documents::Mps& mps = status.mps;
  if (mps.mode != "off") {
    lines += "MPS " + mps.state;
    if (mps.pid) {
      lines += fmt::format(": pid {}{}, pipes in {}", *mps.pid, mps.ours ? "" : " (not ours)",
                           mps.pipe_directory.value_or("-"));
    }
    if (mps.reason) lines += ": " + *mps.reason;
    if (mps.restarts > 0) lines += fmt::format("; restarts: {}", mps.restarts);
    lines += "\n";
  }
  for (const Device& device : status.devices) {
    if (device.problem) lines += fmt::format("{}: {}\n", device.name, *device.problem);
  }
  for (const documents::Fault& fault : status.faults) {
    documents::Names names;
    for (const documents::FaultyStream& stream : fault.streams) names.push_back(stream.name);
    lines += fmt::format("{}: a fault {:.0f} s ago{} broke {}\n", fault.device, fault.for_s,
                         fault.culprit ? " by " + *fault.culprit : "", Join(names, ", "));
  }
  return lines;
}

// The executors that run its inferences; "the app", if it could forward and does not.
std::string On(const Stream& stream) {
  if (!stream.on) return "-";
  return stream.on->empty() ? "the app" : Join(*stream.on, ", ");
}

// Where calls beyond the rate are not held back, which is the rule.
std::string ExcessLine(const Stream& stream) {
  if (stream.excess == "pass") return fmt::format("{}: calls beyond its rate pass\n", stream.name);
  if (stream.excess != "reuse") return "";
  if (stream.counters.reuse_refused == 0) {
    return fmt::format("{}: calls beyond its rate get the outputs of the call before\n",
                       stream.name);
  }
  return fmt::format("{}: reuse cannot be had for {} of its sessions, whose calls all pass\n",
                     stream.name, stream.counters.reuse_refused);
}

void Print(const documents::Status& status) {
  fmt::print("policy {}\n\n", status.policy.name);
  const bool gpus = std::ranges::any_of(
      status.devices, [](const Device& device) { return device.model.has_value(); });
  std::vector<std::string> head = {"DEVICE", "K",       "RUNNING",  "WAITING",
                                   "BUSY",   "OVERLAP", "ADMISSION"};
  if (gpus) head.insert(head.end(), {"MODEL", "MEMORY GB"});
  Table table_of_devices(std::move(head));
  for (const Device& device : status.devices) {
    std::vector<std::string> row = {device.name,
                                    std::to_string(device.concurrency),
                                    std::to_string(device.running.size()),
                                    std::to_string(device.waiting.size()),
                                    Percent(device.utilisation_ratio),
                                    Percent(device.overlap_ratio),
                                    Admission(device)};
    if (gpus) row.insert(row.end(), {device.model.value_or("-"), Memory(device)});
    table_of_devices.AddRow(std::move(row));
  }
  fmt::print("{}{}\n", table_of_devices.ToString(), GpuLines(status));
  if (status.streams.empty()) {
    fmt::print("no streams yet; start an app with: stagger run -- CMD...\n");
    return;
  }
  const bool forwards = std::ranges::any_of(
      status.streams, [](const Stream& stream) { return stream.on.has_value(); });
  std::vector<std::string> columns = {"STREAM",  "PID",     "STATE",       "WANTS",
                                      "GETS",    "FPS",     "DONE",        "SKIPPED",
                                      "WAIT ms", "BODY ms", "INFERENCE ms"};
  if (forwards) columns.emplace_back("ON");
  Table table(std::move(columns));
  std::string verdicts;
  for (const Stream& stream : status.streams) {
    std::vector<std::string> row = {stream.name,
                                    std::to_string(stream.pid),
                                    stream.state,
                                    Figure(stream.fps_required),
                                    Figure(stream.fps_assigned),
                                    Figure(stream.fps),
                                    std::to_string(stream.counters.done),
                                    std::to_string(stream.counters.skipped),
                                    MeanP99(stream.wait_ms),
                                    MeanP99(stream.body_ms),
                                    MeanP99(stream.inference_ms)};
    if (forwards) row.push_back(On(stream));
    table.AddRow(std::move(row));
    if (stream.verdict_code && stream.verdict_code != "fits" &&
        stream.verdict_code != "forwarded") {
      verdicts += fmt::format("{}: {}\n", stream.name, stream.verdict.value_or("-"));
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
    Print(documents::Read<documents::Status>(*status));
  }
  return kExitOk;
}

}  // namespace stagger::cli
