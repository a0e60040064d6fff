// How a diagnosis reads, as text and as JSON.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <utility>

#include "console/table.h"
#include "look/diagnosis.h"

namespace stagger::cli {
namespace {

using nlohmann::ordered_json;

std::string PassagesText(const Passages& passages) {
  return fmt::format("turns {}, warm-up {}, without a turn {}", passages.turns, passages.warmups,
                     passages.without_turn);
}

ordered_json PassagesJson(const Passages& passages) {
  return {{"turns", passages.turns},
          {"warmup", passages.warmups},
          {"without_turn", passages.without_turn}};
}

// What went to which executor, and what stayed and why; empty where no executor was named.
std::string ForwardingText(const ForwardingSeen& seen) {
  if (!seen.any()) return "";
  Table table({"FORWARDED TO", "SESSIONS", "CALLS"});
  table.AddRow({"executors", fmt::format("{}", seen.sessions), fmt::format("{}", seen.calls)});
  for (const auto& [socket, inferences] : seen.executors) {
    table.AddRow({"  " + socket, "", fmt::format("{}", inferences)});
  }
  for (const StayedSeen& stayed : seen.stayed) {
    table.AddRow({"nobody: " + stayed.why, fmt::format("{}", stayed.sessions),
                  fmt::format("{}", stayed.calls)});
  }
  return table.ToString();
}

ordered_json ForwardingJson(const ForwardingSeen& seen) {
  if (!seen.any()) return nullptr;
  ordered_json executors = ordered_json::array();
  for (const auto& [socket, inferences] : seen.executors) {
    executors.push_back({{"socket", socket}, {"inferences", inferences}});
  }
  ordered_json stayed = ordered_json::array();
  for (const StayedSeen& one : seen.stayed) {
    stayed.push_back({{"reason", one.why}, {"sessions", one.sessions}, {"calls", one.calls}});
  }
  return {{"sessions", seen.sessions},
          {"calls", seen.calls},
          {"executors", std::move(executors)},
          {"stayed", std::move(stayed)}};
}

// Indented by two, each line.
std::string Indented(const std::string& text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    result += "  " + text.substr(at, end - at) + "\n";
    if (end == std::string::npos) break;
    at = end + 1;
  }
  return result;
}

std::string ToText(const ProgramDiagnosis& program) {
  const ProgramFacts& facts = program.facts;
  std::string text = fmt::format("{} (pid {})\n",
                                 facts.command.empty() ? facts.program : facts.command, facts.pid);
  text += fmt::format("  agent: {}\n", !facts.agent       ? "not loaded"
                                       : facts.cuda_agent ? "loaded, and the one for CUDA"
                                                          : "loaded");
  for (const std::string& loaded : program.loaded) text += "  loaded: " + loaded + "\n";
  std::vector<std::string> passed_through;  // uncounted
  if (!program.calls.empty()) {
    Table table({"KIND", "CALL", "COUNT", "HANDLED"});
    for (const CallRow& row : program.calls) {
      if (!row.count) {
        passed_through.push_back(row.name);
        continue;
      }
      table.AddRow(
          {row.kind, row.name, row.count ? fmt::format("{}", *row.count) : "-", row.handled});
    }
    if (passed_through.size() < program.calls.size()) text += Indented(table.ToString());
    if (!passed_through.empty()) {
      text += fmt::format("  passed through: {}\n", fmt::join(passed_through, ", "));
    }
  }
  if (facts.onnx) text += Indented(ForwardingText(facts.onnx->forwarding));
  const auto passages = [&](const char* what, const Passages& passed) {
    if (passed.turns + passed.warmups + passed.without_turn == 0) return;
    text += fmt::format("  {}: {}\n", what, PassagesText(passed));
  };
  if (facts.onnx) passages("ONNX Runtime's inferences", facts.onnx->passages);
  if (facts.cuda) passages("CUDA bodies", facts.cuda->passages);
  for (const std::string& escape : program.escapes) text += "  can escape: " + escape + "\n";
  for (const std::string& note : program.notes) text += "  note: " + note + "\n";
  return text + "\n";
}

ordered_json ToJson(const ProgramDiagnosis& program) {
  const ProgramFacts& facts = program.facts;
  ordered_json json;
  json["pid"] = facts.pid;
  json["program"] = facts.program;
  json["command"] = facts.command;
  json["agent"] = facts.agent;
  json["cuda_agent"] = facts.cuda_agent;
  json["loaded"] = program.loaded;
  json["calls"] = ordered_json::array();
  for (const CallRow& row : program.calls) {
    ordered_json call{{"kind", row.kind}, {"name", row.name}};
    call["count"] = row.count ? ordered_json(*row.count) : ordered_json(nullptr);
    call["handled"] = row.handled;
    json["calls"].push_back(call);
  }
  json["onnxruntime"] = facts.onnx ? PassagesJson(facts.onnx->passages) : ordered_json(nullptr);
  json["cuda"] = facts.cuda ? PassagesJson(facts.cuda->passages) : ordered_json(nullptr);
  json["forwarding"] = facts.onnx ? ForwardingJson(facts.onnx->forwarding) : ordered_json(nullptr);
  json["escapes"] = program.escapes;
  json["notes"] = program.notes;
  return json;
}

}  // namespace

std::string ToText(const Diagnosis& diagnosis) {
  std::string text;
  for (const ProgramDiagnosis& program : diagnosis.programs) text += ToText(program);
  if (diagnosis.others > 0) {
    text += fmt::format("{} other program{}, with nothing known to infer with\n", diagnosis.others,
                        diagnosis.others == 1 ? "" : "s");
  }
  if (!diagnosis.driver) text += "no CUDA driver is found here, so no CUDA call could be made\n";
  for (const std::string& problem : diagnosis.device_problems) text += problem + "\n";
  return text + diagnosis.VerdictLine() + "\n";
}

ordered_json ToJson(const Diagnosis& diagnosis) {
  ordered_json json;
  json["cuda_driver"] = diagnosis.driver;
  json["processes"] = ordered_json::array();
  for (const ProgramDiagnosis& program : diagnosis.programs) {
    json["processes"].push_back(ToJson(program));
  }
  json["others"] = diagnosis.others;
  json["device_problems"] = diagnosis.device_problems;
  json["verdict"] = diagnosis.verdict;
  json["reasons"] = diagnosis.reasons;
  return json;
}

}  // namespace stagger::cli
