// The detector: finds the bodies of one process's inferences from its driver calls.
//
// Pure: time comes in with the calls, the same calls give the same verdicts. The caller serialises
// (the agent holds a lock of its own around each call into here, never across a driver call). Never
// throws, prints or blocks. Memory is bounded; a call of an app that is known allocates nothing.
// docs/phases.md says how it decides.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/time.h"
#include "phase/call.h"
#include "phase/confidence.h"
#include "phase/track.h"

namespace stagger::phase {

// The answer to a call, with what the agent needs where something follows from it.
struct Observation {
  Verdict verdict;
  State state{};                     // where a body begins or an inference ended
  const Inference* ended = nullptr;  // where an inference ended; valid until the next call
};

class Detector {
 public:
  static constexpr std::size_t kMaxTracks = 32;  // the longest idle makes room for a new one

  // Whether anything could follow from when this call comes. Reading a clock costs more than all
  // else here, so most launches of a burst may be told with the time last read on their thread.
  // From time to time one should be true all the same: pauses are measured from there.
  bool NeedsTime(const Call& call) {
    if (recent_ >= track_count_) return true;
    const Slot& slot = slots_[recent_];
    if (slot.thread != call.thread || slot.context != call.context) return true;
    return slot.track->NeedsTime(call);
  }
  // A launch that changes nothing (Track::IsAsKnown); false: ask Before.
  bool IsAsKnown(const Call& launch) {
    if (recent_ >= track_count_) return false;
    const Slot& slot = slots_[recent_];
    return slot.thread == launch.thread && slot.context == launch.context &&
           slot.track->IsAsKnown(launch);
  }
  // Before the call is passed on.
  Verdict Before(const Call& call);
  // The same, with what follows from it.
  Observation Observe(const Call& call) {
    Observation told{Before(call)};
    if (told.verdict.begun != 0 || told.verdict.inference_ended) [[unlikely]] {
      told.state = state();
      if (told.verdict.inference_ended) told.ended = &last_inference_;
    }
    return told;
  }
  // After a call that blocks, and after a wait at the gate: the call, or the wait, is over. Copies
  // out and blocking syncs must be reported; others may.
  void Returned(const Call& call, TimePoint at);
  // An open body's turn was given back: the device has done all of it, and no more came. If its
  // burst goes on after all, another body begins. False: it is over already.
  bool GivenBack(BodyId body);
  // The GPU's time from a body's begin to its end.
  void BodyMeasured(BodyId body, Duration device_time);

  State state() const { return learned_.confidence.state(); }
  double confidence() const { return learned_.confidence.value(); }
  // What it goes by, in words: one line.
  std::string Reason() const;
  // The one that ended last.
  const Inference& last_inference() const { return last_inference_; }
  std::uint64_t inferences() const { return learned_.confidence.inferences(); }

  const Learned& learned() const { return learned_; }
  std::size_t tracks() const { return track_count_; }

 private:
  struct Slot {
    std::uint64_t thread = 0;
    std::uint64_t context = 0;
    std::unique_ptr<Track> track;
  };
  Slot& SlotOf(const Call& call);
  Verdict Label(const Call& call);
  Verdict Driver(const Call& call);
  BodyId EndWaitedFor(const Call& call);
  bool EndIdleInferences(TimePoint now);
  bool EndInferenceOf(Slot& slot);

  Learned learned_;
  std::array<Slot, kMaxTracks> slots_;
  std::size_t track_count_ = 0;
  std::size_t recent_ = 0;
  Inference last_inference_;
};

}  // namespace stagger::phase
