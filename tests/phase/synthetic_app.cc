#include "synthetic_app.h"

#include <algorithm>

namespace stagger::phase {

Host::Host(Trace* trace, std::uint64_t seed, std::uint64_t thread)
    : random(seed * 977 + thread), trace_(trace), thread_(thread) {
  now_ = now_ + Us(random.Uniform() * 1000);
}

void Host::BeginFrame(bool settled) {
  frame_ = static_cast<int>(trace_->frames.size());
  trace_->frames.push_back({{}, {}, thread_, settled});
}

void Host::BodyEnded() { trace_->frames.back().body_end = last_work_done_; }

void Host::Until(TimePoint at) { now_ = std::max(now_, at + Us(random.Uniform() * 300)); }

TimePoint Host::device_done() const {
  TimePoint done{};
  for (const auto& [stream, free] : streams_) done = std::max(done, free);
  return done;
}

Step& Host::Enter(Call call) {
  if (preempted > 0 && random.Uniform() < preempted) Cpu(3000);
  call.context = context;
  call.thread = thread_;
  call.at = now_;
  trace_->steps.push_back({call, now_, now_, frame_});
  return trace_->steps.back();
}

void Host::Plain(Call call, double us) {
  Step& step = Enter(call);
  Cpu(us);
  step.returned = step.completed = now_;
}

void Host::Submit(Call call, double device_us, int stream) {
  Step& step = Enter(call);
  Cpu(5);
  step.returned = now_;
  TimePoint& free = streams_[stream];
  free = std::max(free, now_ + Us(4)) + Us(device_us * (0.97 + 0.06 * random.Uniform()));
  step.completed = last_work_done_ = free;
  const bool launch = call.kind == CallKind::kLaunch || call.kind == CallKind::kGraphLaunch;
  if (body_begins_ && launch) {
    trace_->frames.back().body_begin = step.call.at;
    body_begins_ = false;
  }
}

void Host::Launch(std::uint64_t kernel, double device_us, int stream) {
  Submit({.kind = CallKind::kLaunch, .hash = kernel}, device_us, stream);
}

void Host::Graph(std::uint64_t graph, double device_us) {
  Submit({.kind = CallKind::kGraphLaunch, .hash = graph}, device_us, 0);
}

void Host::CopyIn(std::uint64_t bytes, bool blocking) {
  Submit({.kind = CallKind::kCopyIn, .bytes = bytes}, 10 + static_cast<double>(bytes) / 12000, 0);
  if (blocking) now_ = trace_->steps.back().returned = std::max(now_, streams_[0]);
}

void Host::CopyOut(std::uint64_t bytes, bool blocking) {
  Submit({.kind = CallKind::kCopyOut, .bytes = bytes}, 10 + static_cast<double>(bytes) / 12000, 0);
  if (blocking) now_ = trace_->steps.back().returned = std::max(now_, streams_[0]);
}

void Host::Record(int stream) {
  Plain({.kind = CallKind::kEventRecord}, 1);
  trace_->steps.back().completed = streams_[stream];
}

void Host::Join(int stream, int with) {
  Step& step = Enter({.kind = CallKind::kStreamWait});
  Cpu(1);
  step.returned = now_;
  step.completed = streams_[stream] = std::max(streams_[stream], streams_[with]);
  last_work_done_ = step.completed;
}

void Host::WaitFor(TimePoint done) {
  Step& step = Enter({.kind = CallKind::kBlockingSync});
  Cpu(5);
  now_ = std::max(now_, done + Us(10));
  step.returned = step.completed = now_;
}

void Host::Poll(std::uint64_t handle) {
  const TimePoint done = device_done();
  do {
    Query(handle);
    Cpu(50);
  } while (now_ < done);
}

void SortByEntry(Trace* trace) {
  std::ranges::stable_sort(trace->steps, {}, [](const Step& step) { return step.call.at; });
}

}  // namespace stagger::phase
