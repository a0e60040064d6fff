// What holds for every sequence of verdicts, answers and ends, sensible or not. A small process of
// a few threads is driven by random moves, in any interleaving that its threads could have; beside
// it a shadow keeps its own books of each body.
#include <rapidcheck.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "cuda_agent/turns.h"

namespace stagger::cuda_agent {
namespace {

using phase::BodyId;

enum class Kind : std::uint8_t {
  kLaunch,
  kBegin,
  kBeginAfterEnd,  // the same call ends the body before
  kGate,           // the gate answers a thread that asks
  kEnd,
  kEndByWait,
  kMark,
  kMarked,
  kLook,
  kDeviceDone,
  kDeviceDoneAgain,
  kBack,
  kFork
};

struct Move {
  Kind kind{};
  std::uint64_t thread = 0;
  std::uint64_t pick = 0;  // one of those that there are
  std::int64_t ms = 0;     // that pass before it
};

void showValue(const Move& move, std::ostream& out) {
  static constexpr const char* kNames[] = {
      "launch", "begin",       "begin after end",   "gate", "end", "end by wait", "mark", "marked",
      "look",   "device done", "device done again", "back", "fork"};
  out << kNames[static_cast<int>(move.kind)] << "(thread " << move.thread << ", pick " << move.pick
      << ", after " << move.ms << " ms)";
}

rc::Gen<Move> AnyMove(std::uint64_t threads) {
  return rc::gen::build<Move>(
      rc::gen::set(&Move::kind, rc::gen::weightedElement<Kind>({{8, Kind::kLaunch},
                                                                {8, Kind::kBegin},
                                                                {4, Kind::kBeginAfterEnd},
                                                                {12, Kind::kGate},
                                                                {8, Kind::kEnd},
                                                                {3, Kind::kEndByWait},
                                                                {5, Kind::kMark},
                                                                {5, Kind::kMarked},
                                                                {3, Kind::kLook},
                                                                {9, Kind::kDeviceDone},
                                                                {2, Kind::kDeviceDoneAgain},
                                                                {9, Kind::kBack},
                                                                {1, Kind::kFork}})),
      rc::gen::set(&Move::thread, rc::gen::inRange<std::uint64_t>(0, threads)),
      rc::gen::set(&Move::pick, rc::gen::inRange<std::uint64_t>(0, 1000)),
      rc::gen::set(&Move::ms, rc::gen::inRange<std::int64_t>(0, 5)));
}

CUstream StreamOf(std::uint64_t number) { return reinterpret_cast<CUstream>(0x10 + number % 3); }

class World {
 public:
  void Apply(const Move& move) {
    now_ = now_ + Duration{std::chrono::milliseconds{move.ms}};
    switch (move.kind) {
      case Kind::kLaunch:
        if (asks_.count(move.thread) == 0) Call(move, {});
        break;
      case Kind::kBegin:
        if (asks_.count(move.thread) == 0) Call(move, {.begun = ++last_body_});
        break;
      case Kind::kBeginAfterEnd:
        if (asks_.count(move.thread) == 0)
          Call(move, {.ended_before = AnyBody(move.pick), .begun = ++last_body_});
        break;
      case Kind::kGate:
        if (asks_.count(move.thread) != 0) Gate(move);
        break;
      case Kind::kEnd:
      case Kind::kEndByWait:
        Perform(turns_.Step(
            Returned{.ended = AnyBody(move.pick), .device_is_done = move.kind == Kind::kEndByWait},
            now_));
        break;
      case Kind::kMark:
        Perform(turns_.Step(Returned{.marked = AnyBody(move.pick), .stream = StreamOf(move.pick)},
                            now_));
        break;
      case Kind::kMarked:
        if (!marks_.empty()) {
          const Mark mark = marks_.back();
          marks_.pop_back();
          auto* event =
              mark.event != nullptr ? mark.event : reinterpret_cast<CUevent>(++last_event_);
          Perform(turns_.Step(Marked{mark, event}, now_));
        }
        break;
      case Kind::kLook:
        if (const auto idle = turns_.Idle(0, now_)) {
          RC_ASSERT(shadow_.at(idle->id).turn != 0u);
          Perform(turns_.Step(MarksPassed{idle->id, idle->marked_launch}, now_));
        }
        break;
      case Kind::kDeviceDone:
        if (!on_device_.empty()) {
          const auto at =
              on_device_.begin() + static_cast<std::ptrdiff_t>(move.pick % on_device_.size());
          done_ = *at;
          on_device_.erase(at);
          Perform(turns_.Step(DeviceDone{*done_, now_}));
        }
        break;
      case Kind::kDeviceDoneAgain:
        if (done_ && done_->id != 0) {
          const Actions actions = turns_.Step(DeviceDone{*done_, now_});
          RC_ASSERT(!actions.leave);
        }
        break;
      case Kind::kBack:
        if (!given_.empty()) Back(given_.back());
        break;
      case Kind::kFork:
        Fork();
        break;
    }
    Check();
  }

  // Whatever is open ends; then nothing may be left, and each body has left once.
  void End() {
    while (!asks_.empty()) {
      Drain();
      Gate({Kind::kGate, asks_.begin()->first, 1, 0});
    }
    for (BodyId body = 1; body <= last_body_; ++body)
      Perform(turns_.Step(Returned{.ended = body}, now_));
    Drain();
    RC_ASSERT(turns_.IsEmpty());
    for (const auto& [id, body] : shadow_) {
      RC_ASSERT(body.left == 1);
      RC_ASSERT(body.back == (body.turn != 0 ? 1 : 0));
    }
  }

 private:
  struct Shadow {
    std::uint64_t thread = 0;
    std::uint64_t turn = 0;
    bool has_room = true;
    bool answered = false;
    int recorded = 0;
    int left = 0;  // its turn was to be given back, or it had none
    int back = 0;
  };

  void Drain() {
    while (!on_device_.empty()) {
      const Body body = on_device_.back();
      on_device_.pop_back();
      Perform(turns_.Step(DeviceDone{body, now_}));
    }
    while (!given_.empty()) Back(given_.back());
  }

  BodyId AnyBody(std::uint64_t pick) const { return last_body_ == 0 ? 0 : 1 + pick % last_body_; }

  // Bodies at the gate that room was found for; those that run make room.
  std::size_t Kept() const {
    std::size_t kept = 0;
    for (const auto& [thread, id] : asks_) kept += shadow_.at(id).has_room ? 1 : 0;
    return kept;
  }

  void Call(const Move& move, const phase::Verdict& verdict) {
    phase::Call call;
    call.thread = move.thread;
    call.at = now_;
    if (verdict.begun != 0) {
      shadow_[verdict.begun].thread = move.thread;
      shadow_[verdict.begun].has_room = Kept() < Turns::kMaxOpen;
    }
    const phase::Observation told{verdict};
    const Actions actions = turns_.Step(
        Called{call, told, StreamOf(move.pick), turns_.CountLaunch()}, &past_[move.thread]);
    RC_ASSERT(actions.ask.has_value() == (verdict.begun != 0));
    Perform(actions);
    if (!actions.ask) return;
    RC_ASSERT(actions.ask->id == verdict.begun);
    asks_[move.thread] = verdict.begun;
  }

  // Now and then there is no gate to ask, and the body runs without a turn.
  void Gate(const Move& move) {
    const BodyId id = asks_.at(move.thread);
    const bool gated = move.pick % 4 != 0;
    if (gated) {
      Perform(turns_.Step(GateFound{id, nullptr}, now_));
      if (turns_.IsLeaving(move.thread)) return;  // waits on
      // So that no turn of the thread's is held over two bodies.
      for (const auto& [number, body] : shadow_)
        RC_ASSERT(body.thread != move.thread || !IsLeaving(body));
    }
    asks_.erase(move.thread);
    Shadow& shadow = shadow_.at(id);
    shadow.answered = true;
    shadow.turn = gated ? ++last_turn_ : 0;
    const Actions actions =
        turns_.Step(TurnGiven{id, {shadow.turn, 0}, nullptr}, now_, &past_[move.thread]);
    Perform(actions);
    // No room was found for it, and there was nothing to give back.
    if (!gated && !shadow.has_room) ++shadow.left;
    if (actions.ended_after != 0)
      Perform(turns_.Step(Returned{.ended = actions.ended_after}, now_));
  }

  void Perform(const Actions& actions) {
    if (actions.mark) {
      const Shadow& body = shadow_.at(actions.mark->id);
      RC_ASSERT(body.answered && body.turn != 0u && body.left == 0 && body.recorded == 0);
      marks_.push_back(*actions.mark);
    }
    if (!actions.leave) return;
    const Leave& leave = *actions.leave;
    const BodyId id = leave.body.id;
    if (leave.record) {
      RC_ASSERT(leave.body.stream_count > 0u);
      on_device_.push_back(leave.body);
      if (id == 0) {
        ++earlier_;
        RC_ASSERT(earlier_ == 1);
        return;
      }
      Shadow& shadow = shadow_.at(id);
      RC_ASSERT(leave.body.has_turn());
      ++shadow.recorded;
      RC_ASSERT(shadow.recorded == 1);
      return;
    }
    RC_ASSERT(id != 0u);
    Shadow& shadow = shadow_.at(id);
    RC_ASSERT(shadow.answered);
    RC_ASSERT(leave.body.ticket.seq == shadow.turn);
    ++shadow.left;
    RC_ASSERT(shadow.left == 1);
    if (leave.body.has_turn()) given_.push_back(id);
  }

  void Back(BodyId id) {
    given_.pop_back();
    turns_.Step(GivenBack{id});
    ++shadow_.at(id).back;
    RC_ASSERT(shadow_.at(id).back == 1);
  }

  void Fork() {
    turns_.Step(Forked{});
    RC_ASSERT(turns_.IsEmpty());
    RC_ASSERT(!turns_.HasMarked());
    shadow_.clear();
    asks_.clear();
    marks_.clear();
    on_device_.clear();
    given_.clear();
    done_.reset();
    earlier_ = 0;
    // The detector's numbers go on, and some of its bodies end in the child.
    for (BodyId body = 1; body <= last_body_; ++body) shadow_[body].left = 1;
  }

  static bool IsLeaving(const Shadow& body) {
    return body.has_room && body.turn != 0 && body.back == 0 &&
           (body.left == 1 || body.recorded == 1);
  }

  void Check() {
    for (std::uint64_t thread = 0; thread < 40; ++thread) {
      bool leaving = false;
      for (const auto& [id, body] : shadow_) leaving |= body.thread == thread && IsLeaving(body);
      for (const Body& body : on_device_) leaving |= body.id == 0 && body.thread == thread;
      RC_ASSERT(turns_.IsLeaving(thread) == leaving);
    }
  }

  Turns turns_;
  TimePoint now_{std::chrono::seconds{1}};
  std::map<std::uint64_t, ThreadPast> past_;
  std::map<BodyId, Shadow> shadow_;
  std::map<std::uint64_t, BodyId> asks_;
  std::vector<Mark> marks_;
  std::vector<Body> on_device_;
  std::vector<BodyId> given_;
  std::optional<Body> done_;
  BodyId last_body_ = 0;
  std::uint64_t last_turn_ = 0;
  std::uint64_t last_event_ = 0;
  int earlier_ = 0;
};

void Run(std::uint64_t threads) {
  const auto moves = *rc::gen::scale(3.0, rc::gen::container<std::vector<Move>>(AnyMove(threads)));
  World world;
  for (const Move& move : moves) world.Apply(move);
  world.End();
}

}  // namespace
}  // namespace stagger::cuda_agent

int main() {
  using stagger::cuda_agent::Run;
  bool held = rc::check("few threads: each body ends once, with its own turn", [] { Run(3); });
  held &= rc::check("more threads than bodies are kept: the same", [] { Run(40); });
  return held ? 0 : 1;
}
