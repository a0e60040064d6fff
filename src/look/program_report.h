// What the agents wrote of the programs that an app's processes ran (report/page.h), as values.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "cuda/driver_calls.h"

namespace stagger::cli {

// Of one inference, warm-up left out; waiting for the turn is in none of the phases.
struct InferencePhases {
  Duration pre{};
  Duration body{};
  Duration post{};
  Duration waited{};
  int bodies = 1;  // the phases go by the heaviest

  Duration total() const { return pre + body + post; }
};

// How bodies were let through.
struct Passages {
  std::uint64_t turns = 0;
  std::uint64_t warmups = 0;
  std::uint64_t without_turn = 0;
};

struct RuntimeSeen {
  std::string version;
  std::string path;
  bool hooked = true;
};

// Where executors are named: what stayed in the app all the same, and why.
struct StayedSeen {
  std::string why;
  std::uint64_t sessions = 0;
  std::uint64_t calls = 0;
};

struct ForwardingSeen {
  std::uint64_t sessions = 0;  // forwarded
  std::uint64_t calls = 0;     // with a result from executors; not among OnnxSeen::runs()
  std::vector<std::pair<std::string, std::uint64_t>> executors;  // socket; inferences and parts
  std::vector<StayedSeen> stayed;

  bool any() const { return sessions + calls > 0 || !stayed.empty(); }
};

struct OnnxSeen {
  std::vector<RuntimeSeen> runtimes;
  std::uint64_t sessions = 0;
  std::uint64_t accelerated_sessions = 0;
  std::uint64_t cooperative_sessions = 0;
  std::uint64_t run = 0;
  std::uint64_t run_with_binding = 0;
  std::uint64_t run_async = 0;
  std::uint64_t accelerated_runs = 0;
  Passages passages;
  ForwardingSeen forwarding;
  std::vector<InferencePhases> inferences;

  std::uint64_t runs() const { return run + run_with_binding + run_async; }
};

struct DriverCallSeen {
  std::string symbol;
  cuda::CallKind kind{};
  std::uint64_t count = 0;
  bool hooked = true;  // false: the app got the driver's own, and nobody counts
};

struct CudaSeen {
  std::vector<DriverCallSeen> calls;
  std::vector<std::string> unknown;  // functions of the driver that the project does not know
  std::string state;
  std::string reason;
  double confidence = 0;
  std::uint64_t seen = 0;  // inferences, warm-up included
  Passages passages;
  std::vector<InferencePhases> inferences;
};

// One program that one process ran: from its start, or a fork, to its end or to another in its
// place.
struct ProgramReport {
  pid_t pid = 0;
  pid_t parent = 0;
  std::int64_t began_ns = 0;
  std::string program;
  std::string command;
  std::map<std::string, int> libraries;  // those that matter, as seen at its end; how many copies
  std::optional<OnnxSeen> onnx;          // there if the agent was
  std::optional<CudaSeen> cuda;          // there if the one for CUDA was
};

// In the order in which the programs began. What is no report, or is of another version, is left
// out.
std::vector<ProgramReport> ReadReports(const std::string& folder);

}  // namespace stagger::cli
