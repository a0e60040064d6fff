#include "cuda_agent/turns.h"

#include <algorithm>
#include <span>
#include <utility>

namespace stagger::cuda_agent {
namespace {

using phase::BodyId;
using phase::CallKind;

// Copies in that came longer ago have nothing to do with what is launched now.
constexpr Duration kMostPre = std::chrono::seconds{2};
// A marked body that got no more launches for so long goes back when the device is done with it.
constexpr Duration kIdleBody = std::chrono::milliseconds{3};

InferenceOver Over(const phase::Observation& told, ThreadPast* thread) {
  const phase::Inference& inference = *told.ended;
  InferenceOver over{.inference = inference};
  over.warming_up = told.state == phase::State::kWarmingUp;
  if (over.warming_up) return over;
  over.waited = std::exchange(thread->waited, Duration{});
  over.call = std::max(inference.end - inference.begin, Duration{});
  const Duration before = inference.body_begin - inference.begin + inference.body;
  over.post = std::max(over.call - before, Duration{});
  return over;
}

}  // namespace

std::size_t Body::IndexOf(CUstream stream) const {
  const std::size_t known = std::min(stream_count, kMaxStreams);
  const auto end = streams.begin() + static_cast<std::ptrdiff_t>(known);
  const auto found = std::find(streams.begin(), end, stream);
  return found != end ? static_cast<std::size_t>(found - streams.begin()) : stream_count;
}

void Body::Add(CUstream stream) {
  if (IndexOf(stream) < stream_count) return;
  if (stream_count < kMaxStreams) streams[stream_count] = stream;
  if (stream_count <= kMaxStreams) ++stream_count;
}

Actions Turns::Step(const Called& event, ThreadPast* thread) {
  const phase::Call& call = event.call;
  const phase::Verdict& verdict = event.told.verdict;
  Actions actions;
  if (event.told.ended != nullptr) actions.tell = Over(event.told, thread);
  if (verdict.ended_before != 0) End(verdict.ended_before, false, call.at, &actions);
  if (verdict.begun != 0) actions.ask = Begin(event, *thread, &actions);
  Note(event, thread);
  return actions;
}

void Turns::Note(const Called& event, ThreadPast* thread) {
  const phase::Call& call = event.call;
  if (event.launch != 0) {
    if (event.told.verdict.begun == 0) NoteLaunch(call.thread, event.stream, event.launch);
    thread->copying = false;
  } else if (call.kind == CallKind::kCopyIn) {
    if (!thread->copying) thread->copies_from = call.at;
    thread->copying = true;
  } else if (call.kind == CallKind::kLabelBegin || call.kind == CallKind::kLabelEnd) {
    thread->labelled = call.kind == CallKind::kLabelBegin;
    thread->label_from = call.at;
  }
}

Ask Turns::Begin(const Called& event, const ThreadPast& thread, Actions* actions) {
  const phase::Call& call = event.call;
  Body body;
  body.id = event.told.verdict.begun;
  body.stage = Body::Stage::kAsks;
  body.thread = call.thread;
  const bool copied = thread.copying && call.at - thread.copies_from < kMostPre;
  body.call_start = thread.labelled ? thread.label_from : copied ? thread.copies_from : call.at;
  body.asked = call.at;
  body.state = event.told.state;
  body.first_launch = body.last_launch = event.launch;
  body.Add(event.stream);
  if (Body* place = PlaceForNew(call.at, actions)) *place = body;
  return {body.id, body.thread, body.asked - body.call_start};
}

// Where bodies are begun and never ended, the oldest of them makes room.
Body* Turns::PlaceForNew(TimePoint now, Actions* actions) {
  Body* place = Find(0);
  if (place == nullptr) {
    for (Body& body : open_) {
      if (body.stage == Body::Stage::kRuns && (place == nullptr || body.id < place->id))
        place = &body;
    }
    if (place == nullptr) return nullptr;  // all are at the gate
    End(place->id, false, now, actions);
  }
  open_end_ = std::max(open_end_, static_cast<std::size_t>(place - open_.data()) + 1);
  return place;
}

// What was launched before the process was first gated is waited for like a body.
Actions Turns::Step(const GateFound& event, TimePoint now) {
  Actions actions;
  const Body* body = Find(event.id);
  if (gated_before_ || body == nullptr) return actions;
  gated_before_ = true;
  if (!AddLeaving(0, body->thread, true)) return actions;
  Body earlier;
  earlier.thread = body->thread;
  earlier.context = event.context;
  earlier.asked = earlier.begun = now;
  earlier.streams = body->streams;
  earlier.stream_count = body->stream_count;
  actions.leave = {earlier, /*record=*/true, TimePoint{}};
  return actions;
}

Actions Turns::Step(const TurnGiven& event, TimePoint now, ThreadPast* thread) {
  Actions actions;
  Body* body = event.id != 0 ? Find(event.id) : nullptr;
  if (body == nullptr) {
    // There was no room for it.
    if (event.ticket.seq == 0) return actions;
    Body given;
    given.id = event.id;
    given.ticket = event.ticket;
    actions.leave = {given, /*record=*/false, TimePoint{}};
    return actions;
  }
  body->stage = Body::Stage::kRuns;
  body->ticket = event.ticket;
  body->context = event.context;
  body->begun = now;
  thread->waited = now - body->asked;
  if (body->ends) actions.ended_after = body->id;
  return actions;
}

Actions Turns::Step(const Returned& event, TimePoint now) {
  Actions actions;
  if (event.ended != 0) End(event.ended, event.device_is_done, now, &actions);
  const Body* body = event.marked != 0 ? Find(event.marked) : nullptr;
  if (body == nullptr || !body->has_turn()) return actions;
  const std::size_t index = body->IndexOf(event.stream);
  if (index >= Body::kMaxStreams) return actions;
  actions.mark = {body->id, body->context,      event.stream,
                  index,    body->marks[index], body->last_launch};
  return actions;
}

Actions Turns::Step(const Marked& event, TimePoint now) {
  Actions actions;
  const Mark& mark = event.mark;
  Body* body = Find(mark.id);
  if (body != nullptr) {
    body->marks[mark.index] = event.event;
    body->marked_launch = mark.launch;
    body->marked = now;
  } else if (event.event != mark.event && event.event != nullptr) {
    actions.spare = {mark.context, event.event};
  }
  return actions;
}

Actions Turns::Step(const MarksPassed& event, TimePoint now) {
  Actions actions;
  const Body* body = Find(event.id);
  // Unless it went on meanwhile, or is about to.
  if (body != nullptr && body->last_launch == event.marked_launch)
    End(event.id, true, now, &actions);
  return actions;
}

Actions Turns::Step(const DeviceDone& event) {
  Actions actions;
  const auto leaving = std::span(leaving_).first(leaving_count_);
  const auto found = std::ranges::find(leaving, event.body.id, &Left::id);
  if (found == leaving.end() || !found->on_device) return actions;
  found->on_device = false;
  if (event.body.id == 0) {
    Step(GivenBack{});
  } else {
    actions.leave = {event.body, /*record=*/false, event.over};
  }
  return actions;
}

void Turns::Step(const GivenBack& event) {
  const auto leaving = std::span(leaving_).first(leaving_count_);
  const auto found = std::ranges::find(leaving, event.id, &Left::id);
  if (found == leaving.end()) return;
  *found = leaving.back();
  --leaving_count_;
}

void Turns::Step(const Forked&) {
  open_ = {};
  open_end_ = 0;
  leaving_count_ = 0;
  gated_before_ = false;
}

void Turns::End(BodyId id, bool device_is_done, TimePoint now, Actions* actions) {
  Body* open = Find(id);
  if (open == nullptr) return;
  if (open->stage == Body::Stage::kAsks) {
    // Another thread has told its end. Its first launch is still to come.
    open->ends = true;
    return;
  }
  const Body body = *open;
  Remove(open);
  const bool record = body.has_turn() && !device_is_done;
  const bool kept = body.has_turn() && AddLeaving(id, body.thread, record);
  actions->leave = {body, record && kept, device_is_done ? now : TimePoint{}};
}

Body* Turns::Find(BodyId id) {
  const auto found = std::ranges::find(open_, id, &Body::id);
  return found != open_.end() ? &*found : nullptr;
}

void Turns::Remove(Body* body) {
  *body = {};
  while (open_end_ > 0 && open_[open_end_ - 1].id == 0) --open_end_;
}

bool Turns::AddLeaving(BodyId id, std::uint64_t thread, bool on_device) {
  if (leaving_count_ == kMaxLeaving) return false;
  leaving_[leaving_count_++] = {id, thread, on_device};
  return true;
}

bool Turns::IsLeaving(std::uint64_t thread) const {
  return std::ranges::any_of(std::span(leaving_).first(leaving_count_),
                             [&](const Left& left) { return left.thread == thread; });
}

bool Turns::HasMarked() const {
  return std::ranges::any_of(open_, [](const Body& body) { return body.marked != TimePoint{}; });
}

std::optional<Body> Turns::Idle(BodyId after, TimePoint now) const {
  const Body* next = nullptr;
  for (const Body& body : open_) {
    if (body.id <= after || body.marked == TimePoint{} || now - body.marked < kIdleBody) continue;
    if (next == nullptr || body.id < next->id) next = &body;
  }
  return next != nullptr ? std::optional(*next) : std::nullopt;
}

}  // namespace stagger::cuda_agent
