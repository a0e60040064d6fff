#include "phase/detector.h"

#include <algorithm>
#include <cstdio>
#include <span>

namespace stagger::phase {
namespace {

constexpr Duration kIdle = std::chrono::milliseconds{50};

std::string Count(std::uint64_t n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

}  // namespace

Detector::Slot& Detector::SlotOf(const Call& call) {
  const auto matches = [&](const Slot& slot) {
    return slot.thread == call.thread && slot.context == call.context;
  };
  if (recent_ < track_count_ && matches(slots_[recent_])) return slots_[recent_];
  for (recent_ = 0; recent_ < track_count_; ++recent_)
    if (matches(slots_[recent_])) return slots_[recent_];
  if (track_count_ < kMaxTracks) {
    recent_ = track_count_++;
  } else {
    recent_ = 0;
    const auto rank = [](const Slot& slot) {
      return std::pair(slot.track->open_body() != 0, slot.track->last());
    };
    for (std::size_t i = 1; i < kMaxTracks; ++i)
      if (rank(slots_[i]) < rank(slots_[recent_])) recent_ = i;
    EndInferenceOf(slots_[recent_]);
  }
  slots_[recent_] = {call.thread, call.context, std::make_unique<Track>(&learned_)};
  return slots_[recent_];
}

// A framework's call is of its thread, whatever contexts that works in.
Verdict Detector::Label(const Call& call) {
  Verdict verdict;
  const auto slots = std::span(slots_).first(track_count_);
  const bool known = std::ranges::find(slots, call.thread, &Slot::thread) != slots.end();
  if (!known && call.context != 0) SlotOf(call);
  for (std::size_t i = 0; i < track_count_; ++i) {
    if (slots_[i].thread != call.thread) continue;
    const Verdict one = slots_[i].track->Before(call);
    // A verdict names one body; in another context the thread may have had one, too.
    if (verdict.ended_before != 0) {
      slots_[i].track->TellLater(one.ended_before);
    } else {
      verdict.ended_before = one.ended_before;
    }
    if (!one.inference_ended) continue;
    verdict.inference_ended = true;
    last_inference_ = slots_[i].track->last_inference();
  }
  return verdict;
}

Verdict Detector::Before(const Call& call) {
  if (call.kind == CallKind::kLabelBegin || call.kind == CallKind::kLabelEnd) return Label(call);
  return Driver(call);
}

// On its own, so that the verdict is made where the caller wants it: a copy of what was just
// written costs as much as all the rest of a launch.
Verdict Detector::Driver(const Call& call) {
  Track& track = *SlotOf(call).track;
  Verdict verdict = track.Before(call);
  if (verdict.inference_ended) last_inference_ = track.last_inference();
  if (verdict.begun != 0 || state() == State::kWarmingUp)
    verdict.inference_ended |= EndIdleInferences(call.at);
  const bool waits = call.kind == CallKind::kBlockingSync || call.kind == CallKind::kCopyOut;
  if (waits && !track.has_launched()) verdict.ended_after = EndWaitedFor(call);
  return verdict;
}

bool Detector::EndInferenceOf(Slot& slot) {
  if (!slot.track->EndInference()) return false;
  last_inference_ = slot.track->last_inference();
  return true;
}

// A thread that ended, or waits for work, does not show by a next inference that the last is over.
bool Detector::EndIdleInferences(TimePoint now) {
  bool any = false;
  for (std::size_t i = 0; i < track_count_; ++i) {
    const Track& track = *slots_[i].track;
    if (!track.is_open() && now - track.last() >= kIdle) any |= EndInferenceOf(slots_[i]);
  }
  return any;
}

// One thread launches, another waits: of the bodies whose end is not known otherwise, the wait is
// for the one that began last.
BodyId Detector::EndWaitedFor(const Call& call) {
  Track* latest = nullptr;
  for (std::size_t i = 0; i < track_count_; ++i) {
    Track& track = *slots_[i].track;
    if (slots_[i].context != call.context || !track.needs_wait_to_end()) continue;
    if (latest == nullptr || track.open_body() > latest->open_body()) latest = &track;
  }
  return latest != nullptr ? latest->EndByOther() : 0;
}

void Detector::Returned(const Call& call, TimePoint at) { SlotOf(call).track->Returned(at); }

bool Detector::GivenBack(BodyId body) {
  for (std::size_t i = 0; i < track_count_; ++i) {
    Track& track = *slots_[i].track;
    if (body == 0 || track.open_body() != body) continue;
    track.GivenBack();
    return true;
  }
  return false;
}

void Detector::BodyMeasured(BodyId body, Duration device_time) {
  if (body == 0) return;
  for (std::size_t i = 0; i < track_count_; ++i)
    if (slots_[i].track->Measured(body, device_time)) return;
}

std::string Detector::Reason() const {
  const Confidence& confidence = learned_.confidence;
  std::array<char, 256> line{};
  const auto print = [&](const char* format, auto... values) {
    std::snprintf(line.data(), line.size(), format, values...);
    return std::string(line.data());
  };
  if (learned_.book.tick() == 0) return "nothing was launched yet";
  if (confidence.warming_up())
    return "warming up: inferences still differ; " +
           Count(confidence.inferences(), "inference", "inferences") + " seen";
  const std::string alike =
      print("%d of the last %d alike", confidence.alike(), confidence.looked_at());
  if (confidence.state() != State::kSure)
    return "no steady pattern: " + alike +
           "; a body is taken to last from its first launch until the host waits";
  const Inference& last = last_inference_;
  std::string text = "each inference: " + Count(last.copies_in, "copy in", "copies in");
  if (last.launches > 0) text += ", " + Count(last.launches, "launch", "launches");
  if (last.graphs > 0) text += ", " + Count(last.graphs, "graph", "graphs");
  if (last.bodies > 1)
    text += " in the heaviest of " + std::to_string(last.bodies) + " heavy bursts";
  if (last.light_bursts > 0)
    text += ", then " + Count(last.light_bursts, "light burst", "light bursts");
  return text + "; " + alike;
}

}  // namespace stagger::phase
