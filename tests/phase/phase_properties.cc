// What holds for every sequence of calls, of an app or not.
#include <rapidcheck.h>

#include <cstdint>
#include <set>
#include <vector>

#include "apps.h"
#include "phase/detector.h"

namespace stagger::phase {
namespace {

// Few kernels, sizes and threads, so that by chance patterns come about.
struct Move {
  Call call;
  std::int64_t us = 0;          // that pass before it
  std::int64_t returns_us = 0;  // after so long; 0: is not reported
  bool measured = false;        // the last body that ended is reported
};

bool Waits(const Call& call) {
  return call.kind == CallKind::kBlockingSync || call.kind == CallKind::kCopyOut;
}

Move MoveFrom(std::uint64_t random) {
  const auto take = [&](std::uint64_t n) {
    const std::uint64_t value = random % n;
    random /= n;
    return value;
  };
  static constexpr CallKind kLikely[] = {
      CallKind::kLaunch, CallKind::kLaunch,  CallKind::kLaunch,      CallKind::kLaunch,
      CallKind::kCopyIn, CallKind::kCopyOut, CallKind::kBlockingSync};
  Move move;
  const std::uint64_t kind = take(std::size(kLikely) + 3);
  move.call.kind =
      kind < std::size(kLikely) ? kLikely[kind] : static_cast<CallKind>(take(kCallKinds));
  move.call.hash = take(3);
  move.call.bytes = std::uint64_t{1} << take(22);
  move.call.context = take(8) == 0 ? 1 : 0;
  const std::uint64_t thread = take(12);
  move.call.thread = thread < 9 ? 0 : thread < 11 ? 1 : take(1000);
  move.us = static_cast<std::int64_t>(take(12) == 0 ? take(100'000) : take(40));
  move.returns_us = static_cast<std::int64_t>(take(3) == 0 ? 0 : take(5000));
  move.measured = take(4) == 0;
  return move;
}

// Short stretches come again and again, as in life; some calls of them are lost or others come in.
std::vector<Move> AnyMoves() {
  const auto stretch = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<std::uint64_t>>(rc::gen::arbitrary<std::uint64_t>()));
  const auto noise =
      *rc::gen::container<std::vector<std::uint64_t>>(200, rc::gen::arbitrary<std::uint64_t>());
  const std::uint64_t noisy = *rc::gen::element<std::uint64_t>(0, 30, 3, 1);
  std::vector<Move> moves;
  for (std::size_t i = 0; i < 20 * stretch.size() && moves.size() < 4000; ++i) {
    const std::uint64_t random = noise[i % noise.size()] + i;
    const bool other = noisy != 0 && random % noisy == 0;
    moves.push_back(MoveFrom(other ? random * 0x9e3779b97f4a7c15 : stretch[i % stretch.size()]));
  }
  return moves;
}

// Keeps its own books of what the detector says.
class Books {
 public:
  void Make(const Move& move) {
    now_ = now_ + std::chrono::microseconds{move.us};
    Call call = move.call;
    call.at = now_;
    const Verdict verdict = detector_.Before(call);
    const auto track = std::pair(call.thread, call.context);
    End(verdict.ended_before);
    if (verdict.begun != 0) {
      RC_ASSERT(call.kind == CallKind::kLaunch || call.kind == CallKind::kGraphLaunch);
      RC_ASSERT(verdict.begun == last_begun_ + 1);
      last_begun_ = verdict.begun;
      // The track forgets a body only when it was the one to make room.
      for (const auto& [body, at] : open_)
        RC_ASSERT(at != track || detector_.tracks() == Detector::kMaxTracks);
      open_.insert({verdict.begun, track});
    }
    End(verdict.ended_after);
    if (Waits(call)) {
      for (const auto& [body, at] : open_)
        RC_ASSERT(at != track || detector_.tracks() == Detector::kMaxTracks);
    }
    if (detector_.tracks() == Detector::kMaxTracks) open_.clear();
    if (move.returns_us > 0) {
      now_ = now_ + std::chrono::microseconds{move.returns_us};
      detector_.Returned(call, now_);
    }
    if (move.measured) detector_.BodyMeasured(last_ended_, std::chrono::milliseconds{3});
    said_.push_back({verdict.ended_before, verdict.begun, verdict.ended_after});
    CheckBounds();
  }

  using Said = std::array<BodyId, 3>;
  const std::vector<Said>& said() const { return said_; }
  const Detector& detector() const { return detector_; }

 private:
  void End(BodyId body) {
    if (body == 0) return;
    RC_ASSERT(body <= last_begun_);
    RC_ASSERT(ended_.insert(body).second);  // ends once
    const auto is = [&](const auto& one) { return one.first == body; };
    std::erase_if(open_, is);
    last_ended_ = body;
  }

  void CheckBounds() {
    const PatternBook& book = detector_.learned().book;
    RC_ASSERT(book.patterns().size() <= PatternBook::kMaxPatterns);
    RC_ASSERT(book.tokens() <= PatternBook::kMaxTokens);
    RC_ASSERT(book.bodies() <= PatternBook::kMaxBodies);
    RC_ASSERT(detector_.tracks() <= Detector::kMaxTracks);
    RC_ASSERT(detector_.confidence() >= 0 && detector_.confidence() < 1);
    std::size_t tokens = 0;
    for (const Pattern& pattern : book.patterns()) {
      tokens += pattern.tokens.size();
      RC_ASSERT(pattern.end <= pattern.tokens.size());
      RC_ASSERT(pattern.tokens.size() <= Pattern::kMaxTokens);
    }
    RC_ASSERT(tokens == book.tokens());
  }

  Detector detector_;
  TimePoint now_;
  BodyId last_begun_ = 0, last_ended_ = 0;
  std::set<BodyId> ended_;
  std::set<std::pair<BodyId, std::pair<std::uint64_t, std::uint64_t>>> open_;
  std::vector<Said> said_;
};

}  // namespace
}  // namespace stagger::phase

int main() {
  using namespace stagger;
  using namespace stagger::phase;
  bool ok =
      rc::check("bodies begin one at a time on a track, end once, and at a wait at the latest", [] {
        Books books;
        for (const Move& move : AnyMoves()) books.Make(move);
        RC_CLASSIFY(books.detector().learned().last_body > 0, "bodies");
        RC_CLASSIFY(books.detector().learned().book.bodies() > 0, "learned bodies");
        RC_CLASSIFY(books.detector().state() == State::kSure, "sure");
      });
  ok &= rc::check("the same calls give the same verdicts", [] {
    const std::vector<Move> moves = AnyMoves();
    Books once, again;
    for (const Move& move : moves) once.Make(move);
    for (const Move& move : moves) again.Make(move);
    RC_ASSERT(once.said() == again.said());
    RC_ASSERT(once.detector().Reason() == again.detector().Reason());
  });
  ok &= rc::check("launches are judged the same the short way", [] {
    Detector quick, whole;
    std::int64_t short_ways = 0;
    TimePoint now;
    for (const Move& move : AnyMoves()) {
      now = now + std::chrono::microseconds{move.us};
      Call call = move.call;
      call.at = now;
      const bool known = call.kind == CallKind::kLaunch && quick.IsAsKnown(call);
      short_ways += known ? 1 : 0;
      const Verdict one = known ? Verdict() : quick.Before(call);
      const Verdict other = whole.Before(call);
      RC_ASSERT(one.ended_before == other.ended_before && one.begun == other.begun);
      RC_ASSERT(one.ended_after == other.ended_after && one.marked == other.marked);
      RC_ASSERT(one.inference_ended == other.inference_ended);
      if (move.returns_us > 0) {
        now = now + std::chrono::microseconds{move.returns_us};
        quick.Returned(call, now);
        whole.Returned(call, now);
      }
    }
    RC_CLASSIFY(short_ways > 0, "some go the short way");
    RC_CLASSIFY(quick.state() == State::kSure, "sure");
  });
  ok &= rc::check("an app whose calls are disturbed at random is still told right where it was not",
                  [] {
                    // Lost and added calls cost the frames they are in, and those after them at
                    // most.
                    const auto seed = *rc::gen::inRange<std::uint64_t>(1, 1000);
                    Trace trace = AppsWithBodies().front().make(seed);
                    sim::Random random(seed);
                    std::vector<Step> steps;
                    std::set<int> disturbed;
                    for (const Step& step : trace.steps) {
                      const double what = random.Uniform();
                      const bool launch = step.call.kind == CallKind::kLaunch;
                      if (launch && what < 0.0005) {
                        disturbed.insert(step.frame);
                        continue;
                      }
                      steps.push_back(step);
                    }
                    trace.steps = std::move(steps);
                    const Score score = Judge(trace);
                    RC_ASSERT(score.right >= score.frames - 2 * static_cast<int>(disturbed.size()));
                  });
  return ok ? 0 : 1;
}
