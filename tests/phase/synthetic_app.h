// Makes the calls of an app that never was: its threads' calls with times from a simple model of
// what a call costs the host and a kernel the device, and the truth about its bodies.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/time.h"
#include "lab/sim/random.h"
#include "phase/call.h"

namespace stagger::phase {

struct Step {
  Call call;
  TimePoint returned;
  TimePoint completed;  // what the call asked for, on the device
  int frame = -1;       // into Trace::frames
};

struct Frame {
  TimePoint body_begin;  // its first launch was called
  TimePoint body_end;    // its last launch was done on the device
  std::uint64_t thread = 0;
  bool settled = true;  // false: warm-up
};

struct Trace {
  std::vector<Step> steps;  // by entry
  std::vector<Frame> frames;
};

// One thread of the app. Streams run beside each other, each in order.
class Host {
 public:
  Host(Trace* trace, std::uint64_t seed, std::uint64_t thread = 1);

  void BeginFrame(bool settled = true);
  void BodyBegins() { body_begins_ = true; }  // with the next launch
  void BodyEnded();                           // with the last

  void Cpu(double us) { now_ = now_ + Us(us * (0.9 + 0.2 * random.Uniform())); }
  void Until(TimePoint at);
  void Launch(std::uint64_t kernel, double device_us, int stream = 0);
  void Graph(std::uint64_t graph, double device_us);
  void CopyIn(std::uint64_t bytes, bool blocking = false);
  void CopyOut(std::uint64_t bytes, bool blocking = false);
  void Memset(std::uint64_t bytes) { Submit({.kind = CallKind::kMemset, .bytes = bytes}, 2, 0); }
  void Record(int stream);
  void Join(int stream, int with);  // `stream` waits for what `with` has so far
  void Sync() { WaitFor(device_done()); }
  void WaitFor(TimePoint done);     // a blocking sync that returns then
  void Poll(std::uint64_t handle);  // queries until all is done
  void Query(std::uint64_t handle) { Plain({.kind = CallKind::kQuery, .hash = handle}, 0.5); }
  void Allocate() { Plain({.kind = CallKind::kMemory}, 3); }
  void LabelBegin() { Plain({.kind = CallKind::kLabelBegin}, 0.2); }
  void LabelEnd() { Plain({.kind = CallKind::kLabelEnd}, 0.2); }

  TimePoint now() const { return now_; }
  TimePoint device_done() const;
  sim::Random random;
  std::uint64_t context = 7;
  // Now and then the host does something else for 3 ms, between any two calls.
  double preempted = 0;

 private:
  static Duration Us(double us) { return Duration{static_cast<std::int64_t>(us * 1000)}; }
  Step& Enter(Call call);
  void Plain(Call call, double us);
  void Submit(Call call, double device_us, int stream);

  Trace* trace_;
  std::uint64_t thread_;
  TimePoint now_{std::chrono::seconds{1}};
  std::map<int, TimePoint> streams_;
  int frame_ = -1;
  bool body_begins_ = false;
  TimePoint last_work_done_;
};

// Threads write one after the other; afterwards their steps are one sequence.
void SortByEntry(Trace* trace);

}  // namespace stagger::phase
