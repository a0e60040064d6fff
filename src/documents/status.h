// The status document (docs/status-api.md): the daemon fills it in, `stagger` and the page read it.
// Values; the member's name is its key in JSON, an empty optional is null.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/stream.h"

namespace stagger::documents {

using Names = std::vector<std::string>;
using Text = std::optional<std::string>;
using Number = std::optional<double>;

struct Counters : core::StreamCounters {};

struct Loop {
  std::uint64_t steps = 0;
  double max_ms = 0, p999_ms = 0, cpu_max_ms = 0, cpu_p999_ms = 0;
};

struct Daemon {
  Loop loop;
  std::uint64_t log_lines_lost = 0;
};

// As it was asked for. In JSON a number, or "auto".
struct Concurrency {
  bool by_itself = false;  // the daemon finds it; `limit` means nothing then
  int limit = 0;
};

struct Policy {
  std::string name;
  Concurrency concurrency;
  Number demand_limit;
  double spacing_ms = 0;
};

struct Mps {
  std::string mode = "off", state = "off";
  bool ours = false;
  std::optional<int> pid;
  double since_s = 0;
  unsigned restarts = 0;
  Text reason, pipe_directory, log_directory;
};

struct NearestFit {
  std::string stream;
  double fps = 0;
};

struct Headroom {
  std::string like;
  double fps = 0;
};

struct Admission {
  bool admitted = false;
  double utilisation_ratio = 0;
  std::string reason;
  Text binding_stream;
  Number interval_ms;
  std::optional<NearestFit> nearest_fit;
  std::optional<Headroom> headroom;
};

struct Running {
  Text stream;
  double for_ms = 0;
  bool expired = false;
};

struct Waiting {
  Text stream;
  double for_ms = 0;
};

struct GpuProcess {
  int pid = 0;
  Text stream;
  Number memory_gb;
};

struct Device {
  std::string name, kind;
  Text model, uuid;
  Number memory_gb, memory_used_gb, gpu_utilisation_ratio;
  Text compute_mode, problem;
  std::optional<std::vector<GpuProcess>> processes;
  std::vector<std::uint16_t> cores;
  int concurrency = 1;
  std::vector<Running> running;
  std::vector<Waiting> waiting;
  Number utilisation_ratio;
  std::optional<Admission> admission;
  Number load_ratio;
  bool overloaded = false;
  double body_time_ms = 0, busy_time_ms = 0;
  Number overlap_ratio;
  std::uint64_t turns = 0, faults = 0;
};

struct FaultyStream {
  std::string name;
  int pid = 0;
  std::string error;
  std::uint32_t code = 0;
  bool present = false;
};

struct Fault {
  std::uint64_t number = 0;
  std::string device;
  double for_s = 0;
  bool shared = false;
  Text culprit;
  std::vector<FaultyStream> streams;
};

struct Summary {
  Number min, mean, p50, p99, max;
};

struct Phase {
  Number mean, p99;
  double confidence = 0;
};

struct Profile {
  Phase pre_ms, body_ms, post_ms;
  Number occupancy;
  double occupancy_confidence = 0;
  std::uint32_t overlaps = 0;
};

struct Place {
  Names devices, standby;
  std::string reason;
  double body_ms = 0;
  Number measured_body_ms, lowered_fps;
  std::uint64_t moves = 0;
  double for_s = 0;
};

struct StreamPlace {
  Place place;  // its fields among the others'
  bool at_next_start = false;
};

struct Stream {
  std::string name;
  int pid = 0;
  std::string command;
  Number fps_required, fps_assigned;
  double fps = 0;
  Number deadline_ms;
  double weight = 1;
  Number deadline_miss_ratio;
  std::optional<std::uint64_t> missed;
  Text excess;
  Text verdict, verdict_code;
  Counters counters;  // their fields among the others'
  Summary wait_ms, body_ms, inference_ms;
  Profile profile;
  Text device;
  std::string state;
  double attached_s = 0;
  bool forwards = false;
  std::optional<Names> on, assigned_to;
  Text assigned_why, serves, fault;
  std::optional<StreamPlace> placement;
  Text video;
};

struct PlacedDevice {
  std::string name, on;
  double speed = 1;
  Number memory_gb;
  bool here = false;
  Number measured_speed, measured_memory_gb;
  Text overfull;
  double for_s = 0;
  Names streams;
};

struct PlacedStream {
  Place place;  // its fields among the others'
  std::string name;
  double fps = 0;
  bool runs = false;
};

struct PlanEvent {
  double for_s = 0;
  std::string text;
};

struct Placement {
  std::vector<PlacedDevice> devices;
  std::vector<PlacedStream> streams;
  std::vector<PlanEvent> events;
};

struct Totals {
  Counters counters;  // their fields among the others'
  std::uint64_t streams = 0;
  double fps = 0, fps_required = 0;
  std::uint64_t missed = 0, clients_refused = 0, clients_dropped = 0;
};

struct Status {
  std::string version;
  int pid = 0;
  double uptime_s = 0;
  std::string socket;
  Text http;
  Daemon daemon;
  Policy policy;
  std::string admission;
  Mps mps;
  std::vector<Device> devices;
  std::vector<Fault> faults;
  std::vector<Stream> streams;
  std::optional<Placement> placement;
  Totals totals;
};

struct DeviceConcurrency {
  std::string name;
  int concurrency = 1;
};

// The answer to "policy".
struct PolicyInForce {
  std::string name;
  Concurrency concurrency;
  Number demand_limit;
  double spacing_ms = 0;
  std::vector<DeviceConcurrency> devices;
};

// The answer to "assign".
struct Assignment {
  std::string name;
  Names executors;
  std::string reason;
  double for_s = 0;
};

struct Assigned {
  std::vector<Assignment> assignments;
  // Of the one that was asked for: the streams that were told, and what the status says of them
  // once they have moved.
  Names streams;
  std::optional<Names> on;
};

}  // namespace stagger::documents
