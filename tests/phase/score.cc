#include "score.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>

#include "lab/sim/random.h"

namespace stagger::phase {
namespace {

constexpr Duration kTolerance = std::chrono::milliseconds{2};
// The agent reads its clock at every so manieth call of a thread at the latest.
constexpr int kMostUntimed = 8;

struct ToldBody {
  int frame = -1;
  TimePoint begin, end;
  bool ended = false;
};

bool Near(TimePoint a, TimePoint b) { return a - b <= kTolerance && b - a <= kTolerance; }

// What is to be fed next: a call's entry, its return, or a measurement.
struct Item {
  TimePoint at;
  std::uint64_t order = 0;
  const Step* step = nullptr;
  bool is_return = false;
  BodyId measured = 0;
  Duration took{0};
  bool operator<(const Item& other) const {
    return std::pair(at, order) > std::pair(other.at, other.order);
  }
};

std::vector<bool> LookedAt(const Trace& trace, const ScoreOptions& options) {
  std::vector<bool> looked(trace.frames.size());
  std::vector<std::size_t> by_time(trace.frames.size());
  std::iota(by_time.begin(), by_time.end(), std::size_t{0});
  std::ranges::stable_sort(by_time, {}, [&](std::size_t i) { return trace.frames[i].body_begin; });
  int since_change = 0;
  for (const std::size_t i : by_time) {
    if (std::ranges::count(options.changes, static_cast<int>(i)) > 0) since_change = 0;
    if (!trace.frames[i].settled) continue;
    looked[i] = since_change++ >= options.learning;
  }
  return looked;
}

std::string Ms(Duration d) { return std::to_string(ToMs(d)) + " ms"; }

}  // namespace

Score Judge(const Trace& trace, const ScoreOptions& options) {
  Score score;
  Detector detector;
  sim::Random random(trace.steps.size());
  std::priority_queue<Item> queue;
  std::uint64_t order = 0;
  std::map<std::uint64_t, std::vector<const Step*>> by_thread;
  for (const Step& step : trace.steps) by_thread[step.call.thread].push_back(&step);
  std::map<std::uint64_t, std::size_t> next;
  std::map<std::uint64_t, Duration> late;
  std::map<std::uint64_t, TimePoint> done;
  const auto push_call = [&](std::uint64_t thread) {
    const auto& steps = by_thread[thread];
    if (next[thread] == steps.size()) return;
    const Step* step = steps[next[thread]++];
    queue.push({step->call.at + late[thread], order++, step});
  };
  for (const auto& [thread, steps] : by_thread) push_call(thread);

  std::map<BodyId, ToldBody> told;
  std::vector<std::vector<BodyId>> of_frame(trace.frames.size());
  const auto end = [&](BodyId body, TimePoint at, std::uint64_t thread) {
    if (body == 0) return;
    told[body].end = at;
    told[body].ended = true;
    if (options.measured)
      queue.push({at + late[thread], order++, nullptr, false, body, at - told[body].begin});
  };
  // As the agent does: what says nothing is not told, and the clock is read where it matters.
  struct Clock {
    TimePoint read;
    int untimed = 0;
  };
  std::map<std::uint64_t, Clock> clocks;
  const auto tell = [&](Call call) {
    if (call.kind == CallKind::kEventRecord || call.kind == CallKind::kHostFunction)
      return Verdict();
    Clock& clock = clocks[call.thread];
    const TimePoint at = call.at;
    if (++clock.untimed >= kMostUntimed) clock = {at, 0};
    call.at = clock.read;
    if (call.kind == CallKind::kLaunch && detector.IsAsKnown(call)) return Verdict();
    if (clock.untimed > 0 && detector.NeedsTime(call)) clock = {at, 0};
    call.at = clock.read;
    return detector.Before(call);
  };
  while (!queue.empty()) {
    const Item item = queue.top();
    queue.pop();
    if (item.measured != 0) {
      detector.BodyMeasured(item.measured, item.took);
      continue;
    }
    const Step& step = *item.step;
    const std::uint64_t thread = step.call.thread;
    Call call = step.call;
    call.at = step.call.at + late[thread];
    if (item.is_return) {
      detector.Returned(call, item.at);
      push_call(thread);
      continue;
    }
    const Verdict verdict = tell(call);
    end(verdict.ended_before, std::max(done[thread], step.call.at), thread);
    if (verdict.begun != 0) {
      ++score.begins;
      told[verdict.begun] = {step.frame, step.call.at, {}, false};
      if (step.frame >= 0) of_frame[static_cast<std::size_t>(step.frame)].push_back(verdict.begun);
      if (step.frame >= 0 && !trace.frames[static_cast<std::size_t>(step.frame)].settled)
        ++score.warmup_begins;
      const auto wait = static_cast<std::int64_t>(random.Uniform() *
                                                  static_cast<double>(options.gate_wait.count()));
      late[thread] += Duration{wait};
      if (wait > 0) detector.Returned(call, call.at + Duration{wait});
    }
    done[thread] = std::max(done[thread], step.completed);
    end(verdict.ended_after, step.completed, thread);
    if (detector.state() == State::kSure) ++score.sure_steps;
    score.highest_confidence = std::max(score.highest_confidence, detector.confidence());
    const bool reports = call.kind == CallKind::kBlockingSync || call.kind == CallKind::kCopyOut ||
                         call.kind == CallKind::kCopyIn;
    if (reports) {
      queue.push({step.returned + late[thread], order++, &step, true});
    } else {
      push_call(thread);
    }
  }

  const std::vector<bool> looked = LookedAt(trace, options);
  for (std::size_t i = 0; i < trace.frames.size(); ++i) {
    if (!looked[i]) continue;
    ++score.frames;
    const Frame& truth = trace.frames[i];
    std::string wrong;
    if (of_frame[i].size() != 1) {
      wrong = std::to_string(of_frame[i].size()) + " bodies";
    } else {
      const ToldBody& body = told[of_frame[i].front()];
      if (!Near(body.begin, truth.body_begin))
        wrong = "began " + Ms(body.begin - truth.body_begin) + " late";
      else if (!body.ended)
        wrong = "never ended";
      else if (!Near(body.end, truth.body_end))
        wrong = "ended " + Ms(body.end - truth.body_end) + " late";
    }
    if (wrong.empty())
      ++score.right;
    else if (score.first_wrong.empty())
      score.first_wrong = "frame " + std::to_string(i) + ": " + wrong;
  }
  score.state = detector.state();
  score.confidence = detector.confidence();
  score.reason = detector.Reason();
  return score;
}

}  // namespace stagger::phase
