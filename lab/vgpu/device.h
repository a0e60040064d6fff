// The virtual GPU's processor and copy engines: executes what processes submit, in model time.
// Operations of a process form a graph by their dependencies; one starts at the very instant at
// which the last of those before it ended, however late anybody looks. Kernels share the processor
// as sim::GpuModel says, or take turns by process; copies queue for an engine per direction; a host
// function is handed to its process and ends when that says so.
//
// Pure and deterministic: time comes in with each call and never runs backwards (what comes late
// counts as coming now). Knows no sockets, memory or names.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "lab/sim/gpu_model.h"
#include "lab/vgpu/model.h"
#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

using ProcessKey = std::uint64_t;  // never reused

struct Op {
  std::uint64_t id = 0;  // rises within a process
  OpKind kind = OpKind::kMarker;
  sim::Phase phase = sim::Phase::kBody;
  Fault fault = Fault::kNone;
  Duration cost{};           // of a kernel, when alone
  double demand = 1;         // of a kernel
  std::uint64_t bytes = 0;   // of a copy or a fill
  std::uint32_t stream = 0;  // for the log
  std::uint32_t name = 0;    // for the log
};

struct Outcome {
  ProcessKey process = 0;
  Op op;
  TimePoint submitted{};
  TimePoint begin{};
  TimePoint end{};
  int result = 0;         // a CUresult
  bool run_host = false;  // not over: its process is to run it, and to call HostDone
  bool wanted = false;    // somebody waits for it
};

class Device {
 public:
  Device(const Model& model, Mode mode);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device();

  // `share`: at most this part of the device is filled by a kernel of this process.
  void Join(ProcessKey process, double share);
  // What it has under way stops. Kernels that had started end with CUDA_ERROR_DEINITIALIZED, the
  // rest is forgotten.
  void Leave(ProcessKey process, TimePoint at);

  // `after`: operations of the same process; those that are over or unknown count as over.
  void Submit(ProcessKey process, const Op& op, const std::vector<std::uint64_t>& after,
              TimePoint at);
  // Somebody waits for this one: NextWake will not pass over its end.
  void Want(ProcessKey process, std::uint64_t op);
  void HostDone(ProcessKey process, std::uint64_t op, TimePoint at);

  // Everything up to `now` happens. What ended is in Take(), in the order in which it ended.
  void Advance(TimePoint now);
  std::vector<Outcome> Take();

  // Nothing that is wanted ends before. It may be too early (others can slow it down), never too
  // late. kNever: nothing is wanted.
  TimePoint NextWake() const { return wake_; }
  bool idle() const { return nodes_ == 0; }
  // A process has failed: every operation of its ends with that result. 0: it has not.
  int FailureOf(ProcessKey process) const;
  // With MPS an illegal address ends all that is on the device, and nobody may join until its
  // culprit has left.
  bool poisoned() const;
  // How long at least one kernel has been running, in all.
  Duration BusyTime(TimePoint now) const;

 private:
  struct Node;
  struct Process;
  // A copy engine: one at a time, in the order in which they became ready.
  struct Engine {
    double bytes_per_ns = 1;
    std::deque<Node*> queue;  // the first one runs
    TimePoint end = kNever;
  };
  enum class Event : std::uint8_t { kNone, kKernel, kEngine, kSlice };
  struct Next {
    TimePoint at = kNever;
    Event event = Event::kNone;
    std::size_t which = 0;  // job or engine
  };

  void MoveTo(TimePoint at);
  Next NextEvent() const;
  void Happen(const Next& next);
  void StartReady();  // until nothing is ready that has not been started
  void Start(Node* node);
  void StartKernel(Node* node);
  void Run(Node* node);
  void Pause(Node* node);
  void StartCopy(Engine* engine);
  void End(Node* node, int result, TimePoint begin);
  void Report(const Node& node, int result, bool run_host);
  void Fail(Process* process, int result);
  void FailFrom(Process* process, Fault fault);
  void Stop(Node* node);
  void NextSlice();
  Engine* EngineOf(OpKind kind);
  Duration CopyTime(const Engine& engine, const Op& op) const;
  void FindWake();
  TimePoint EarliestEnd(const Node& node) const;
  void CountBusy();

  const Model model_;
  const Mode mode_;
  sim::GpuModel gpu_;
  Engine engines_[3];  // to the device, from it, within it
  std::map<ProcessKey, std::unique_ptr<Process>> processes_;
  std::unordered_map<std::size_t, Node*> jobs_;  // on the processor now
  std::size_t last_job_ = 0;
  std::deque<Node*> ready_;
  std::vector<Outcome> outcomes_;
  std::size_t nodes_ = 0;
  TimePoint now_{};
  TimePoint wake_ = kNever;
  std::uint64_t round_ = 0;  // of FindWake
  ProcessKey turn_ = 0;      // whose slice it is
  TimePoint slice_end_ = kNever;
  Duration busy_{};
  TimePoint busy_since_ = kNever;
};

}  // namespace stagger::vgpu
