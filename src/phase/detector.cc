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
  if (recent_ < lane_count_ && matches(slots_[recent_])) return slots_[recent_];
  for (recent_ = 0; recent_ < lane_count_; ++recent_)
    if (matches(slots_[recent_])) return slots_[recent_];
  if (lane_count_ < kMaxLanes) {
    recent_ = lane_count_++;
  } else {
    recent_ = 0;
    const auto rank = [](const Slot& slot) {
      return std::pair(slot.lane->open_body() != 0, slot.lane->last());
    };
    for (std::size_t i = 1; i < kMaxLanes; ++i)
      if (rank(slots_[i]) < rank(slots_[recent_])) recent_ = i;
    EndInferenceOf(slots_[recent_]);
  }
  slots_[recent_] = {call.thread, call.context, std::make_unique<Lane>(&learned_)};
  return slots_[recent_];
}

// A framework's call is of its thread, whatever contexts that works in.
Verdict Detector::Label(const Call& call) {
  Verdict verdict;
  const auto slots = std::span(slots_).first(lane_count_);
  const bool known = std::ranges::find(slots, call.thread, &Slot::thread) != slots.end();
  if (!known && call.context != 0) SlotOf(call);
  for (std::size_t i = 0; i < lane_count_; ++i) {
    if (slots_[i].thread != call.thread) continue;
    const Verdict one = slots_[i].lane->Before(call);
    // A verdict names one body; in another context the thread may have had one, too.
    if (verdict.ended_before != 0) {
      slots_[i].lane->TellLater(one.ended_before);
    } else {
      verdict.ended_before = one.ended_before;
    }
    if (!one.inference_ended) continue;
    verdict.inference_ended = true;
    last_inference_ = slots_[i].lane->last_inference();
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
  Lane& lane = *SlotOf(call).lane;
  Verdict verdict = lane.Before(call);
  if (verdict.inference_ended) last_inference_ = lane.last_inference();
  if (verdict.begun != 0 || state() == State::kWarmingUp)
    verdict.inference_ended |= EndIdleInferences(call.at);
  const bool waits = call.kind == CallKind::kBlockingSync || call.kind == CallKind::kCopyOut;
  if (waits && !lane.has_launched()) verdict.ended_after = EndWaitedFor(call);
  return verdict;
}

bool Detector::EndInferenceOf(Slot& slot) {
  if (!slot.lane->EndInference()) return false;
  last_inference_ = slot.lane->last_inference();
  return true;
}

// A thread that ended, or waits for work, does not show by a next inference that the last is over.
bool Detector::EndIdleInferences(TimePoint now) {
  bool any = false;
  for (std::size_t i = 0; i < lane_count_; ++i) {
    const Lane& lane = *slots_[i].lane;
    if (!lane.is_open() && now - lane.last() >= kIdle) any |= EndInferenceOf(slots_[i]);
  }
  return any;
}

// One thread launches, another waits: of the bodies whose end is not known otherwise, the wait is
// for the one that began last.
BodyId Detector::EndWaitedFor(const Call& call) {
  Lane* latest = nullptr;
  for (std::size_t i = 0; i < lane_count_; ++i) {
    Lane& lane = *slots_[i].lane;
    if (slots_[i].context != call.context || !lane.needs_wait_to_end()) continue;
    if (latest == nullptr || lane.open_body() > latest->open_body()) latest = &lane;
  }
  return latest != nullptr ? latest->EndByOther() : 0;
}

void Detector::Returned(const Call& call, TimePoint at) { SlotOf(call).lane->Returned(at); }

bool Detector::GivenBack(BodyId body) {
  for (std::size_t i = 0; i < lane_count_; ++i) {
    Lane& lane = *slots_[i].lane;
    if (body == 0 || lane.open_body() != body) continue;
    lane.GivenBack();
    return true;
  }
  return false;
}

void Detector::BodyMeasured(BodyId body, Duration device_time) {
  if (body == 0) return;
  for (std::size_t i = 0; i < lane_count_; ++i)
    if (slots_[i].lane->Measured(body, device_time)) return;
}

std::string Detector::Reason() const {
  const Standing& standing = learned_.standing;
  std::array<char, 256> line{};
  const auto print = [&](const char* format, auto... values) {
    std::snprintf(line.data(), line.size(), format, values...);
    return std::string(line.data());
  };
  if (learned_.book.tick() == 0) return "nothing was launched yet";
  if (standing.warming_up())
    return "warming up: inferences still differ; " +
           Count(standing.inferences(), "inference", "inferences") + " seen";
  const std::string alike =
      print("%d of the last %d alike", standing.alike(), standing.looked_at());
  if (standing.state() != State::kSure)
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
