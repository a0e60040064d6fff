// Tells what Turns decides in a line per action, so that tests read like prose. The test is the
// detector, the gate and the device. Threads are numbers, streams letters, times milliseconds that
// the test lets pass.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cuda_agent/turns.h"

namespace stagger::cuda_agent {

using testing::ElementsAre;
using testing::IsEmpty;

using Lines = std::vector<std::string>;

inline Duration Ms(std::int64_t ms) { return std::chrono::milliseconds{ms}; }
template <typename Handle>
Handle Named(char name) {
  return reinterpret_cast<Handle>(static_cast<std::uintptr_t>(name));  // NOLINT
}

class Story : public testing::Test {
 protected:
  void Pass(std::int64_t ms) { now_ = now_ + Ms(ms); }

  // ---- calls, with what the detector says of them ----
  Lines Launch(std::uint64_t thread = 1, char stream = 'a', phase::Verdict verdict = {}) {
    phase::Call call = CallOf(phase::CallKind::kLaunch, thread);
    return Do(call, verdict, stream, turns_.CountLaunch());
  }
  Lines Begin(phase::BodyId body, std::uint64_t thread = 1, char stream = 'a') {
    return Launch(thread, stream, {.begun = body});
  }
  Lines CopyIn(std::uint64_t thread = 1, phase::BodyId ended_before = 0) {
    return Do(CallOf(phase::CallKind::kCopyIn, thread), {.ended_before = ended_before});
  }
  Lines Label(bool begins, std::uint64_t thread = 1, phase::BodyId ended_before = 0) {
    const auto kind = begins ? phase::CallKind::kLabelBegin : phase::CallKind::kLabelEnd;
    return Do(CallOf(kind, thread), {.ended_before = ended_before});
  }
  Lines InferenceEnds(const phase::Inference& inference, phase::State state,
                      std::uint64_t thread = 1) {
    ended_ = inference;
    state_ = state;
    return Do(CallOf(phase::CallKind::kCopyIn, thread), {.inference_ended = true});
  }
  Lines End(phase::BodyId body) { return Told(turns_.Step(Returned{.ended = body}, now_)); }
  Lines EndByWait(phase::BodyId body) {
    return Told(turns_.Step(Returned{.ended = body, .device_is_done = true}, now_));
  }

  // ---- what the gate, the device and the system do ----
  Lines FindGate(phase::BodyId body) {
    return Told(turns_.Step(GateFound{body, Named<CUcontext>('C')}, now_));
  }
  Lines Give(phase::BodyId body, std::uint64_t turn, std::uint64_t thread = 1) {
    return Told(
        turns_.Step(TurnGiven{body, {turn, 0}, Named<CUcontext>('C')}, now_, &past_[thread]));
  }
  // A body that has its turn.
  void Run(phase::BodyId body, std::uint64_t turn, std::uint64_t thread = 1, char stream = 'a') {
    Begin(body, thread, stream);
    Give(body, turn, thread);
  }
  Lines Finish(phase::BodyId body) {
    return Told(turns_.Step(DeviceDone{recorded_.at(body), now_}));
  }
  void Back(phase::BodyId body) { turns_.Step(GivenBack{body}); }
  // The call after which the body's launches are marked, and the mark that is made.
  Lines MarkAfter(phase::BodyId body, char stream = 'a') {
    return Told(turns_.Step(Returned{.marked = body, .stream = Named<CUstream>(stream)}, now_));
  }
  Lines Made(char event) { return Told(turns_.Step(Marked{mark_, Named<CUevent>(event)}, now_)); }

  Turns turns_;
  TimePoint now_{Ms(1000)};
  std::map<std::uint64_t, ThreadPast> past_;
  std::map<phase::BodyId, Body> recorded_;
  Mark mark_;
  phase::Inference ended_;
  phase::State state_ = phase::State::kSure;

  Lines Told(const Actions& actions) {
    Lines lines;
    if (actions.tell) {
      const InferenceOver& over = *actions.tell;
      lines.push_back(over.warming_up
                          ? "a warm-up inference is over"
                          : "an inference of " + Text(over.call) + " is over, " + Text(over.post) +
                                " after its body, having waited " + Text(over.waited));
    }
    if (actions.leave) {
      const Body& body = actions.leave->body;
      const std::string name = body.id != 0 ? "body " + std::to_string(body.id) : "earlier work";
      if (actions.leave->record) {
        recorded_[body.id] = body;
        lines.push_back("record " + name + " on " + std::to_string(body.stream_count));
      } else {
        lines.push_back(
            (body.has_turn() ? "give back turn " + std::to_string(body.ticket.seq) : "let go") +
            (" of " + name) + (actions.leave->over == TimePoint{} ? "" : ", done"));
      }
    }
    if (actions.ask)
      lines.push_back("ask for body " + std::to_string(actions.ask->id) + ", " +
                      Text(actions.ask->since_call) + " into the call");
    if (actions.mark) {
      mark_ = *actions.mark;
      lines.push_back("mark body " + std::to_string(mark_.id) +
                      (mark_.event != nullptr ? " again" : ""));
    }
    if (actions.spare) lines.push_back("an event is spare");
    if (actions.ended_after != 0)
      lines.push_back("body " + std::to_string(actions.ended_after) + " ends with its first call");
    return lines;
  }

 private:
  static std::string Text(Duration d) { return std::to_string(d / Ms(1)) + " ms"; }
  phase::Call CallOf(phase::CallKind kind, std::uint64_t thread) const {
    phase::Call call;
    call.kind = kind;
    call.thread = thread;
    call.at = now_;
    return call;
  }
  Lines Do(const phase::Call& call, const phase::Verdict& verdict, char stream = 0,
           std::uint64_t launch = 0) {
    const phase::Observation told{verdict, state_, verdict.inference_ended ? &ended_ : nullptr};
    return Told(
        turns_.Step(Called{call, told, Named<CUstream>(stream), launch}, &past_[call.thread]));
  }
};

}  // namespace stagger::cuda_agent
