// What of an app is controlled and what is not, from what was seen of its processes: the judgement
// of `stagger doctor`. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "look/process_watch.h"
#include "look/program_report.h"

namespace stagger::cli {

// One program that one process ran.
struct ProgramFacts {
  pid_t pid = 0;
  std::string program;
  std::string command;
  bool agent = false;
  bool cuda_agent = false;
  bool readable = true;                  // its mappings could be read, or the agent told of them
  std::optional<bool> told_to_preload;   // its environment names the agent
  std::optional<std::string> obstacle;   // why nothing can be preloaded into its file
  std::map<std::string, int> libraries;  // those that matter; how many copies
  std::vector<std::pair<std::string, std::string>>
      inside;  // runtimes linked into a file: what, file
  std::optional<OnnxSeen> onnx;
  std::optional<CudaSeen> cuda;
};

// Puts together what the agents wrote and what was seen from outside. `obstacle` and `inside` are
// left for the caller, which may look at files.
std::vector<ProgramFacts> Together(const std::vector<ProgramReport>& reports,
                                   const std::vector<WatchedProgram>& watched);

struct CallRow {
  std::string kind;
  std::string name;
  std::optional<std::uint64_t> count;  // empty: nobody counts what is passed through
  std::string handled;                 // "controlled", "seen" or "passed through"
};

struct ProgramDiagnosis {
  ProgramFacts facts;
  std::vector<std::string> loaded;  // frameworks and drivers, in words
  std::vector<CallRow> calls;
  std::vector<std::string> escapes;  // paths by which an inference can go past control
  std::vector<std::string> notes;
  bool controls = false;  // something that infers was seen under control
};

struct Diagnosis {
  std::vector<ProgramDiagnosis> programs;  // that may infer, or into which nothing could be loaded
  int others = 0;                          // with the agent, or nothing to infer with
  bool driver = false;                     // this machine has a CUDA driver
  // What is in the apps' way on this machine's GPUs, as the daemon sees it; none of the app's
  // doing.
  std::vector<std::string> device_problems;
  std::string verdict;               // "controlled", "partly controlled", "not controlled"
  std::vector<std::string> reasons;  // empty for "controlled"

  std::string VerdictLine() const;
};

Diagnosis Diagnose(std::vector<ProgramFacts> programs, bool driver);

std::string ToText(const Diagnosis& diagnosis);
nlohmann::ordered_json ToJson(const Diagnosis& diagnosis);

}  // namespace stagger::cli
