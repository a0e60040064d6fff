#include "relay/tally.h"

#include <algorithm>

namespace stagger::relay {
namespace {

constexpr Duration kJudgeAfter = std::chrono::seconds{2};
constexpr std::int64_t kJudgeFrames = 4;
constexpr double kSlow = 0.98;

}  // namespace

void Flow::Add(TimePoint at) {
  if (frames == 0) first = at;
  last = at;
  ++frames;
}

double Flow::fps() const {
  if (frames < 2 || last <= first) return 0;
  return static_cast<double>(frames - 1) * 1000 / ToMs(last - first);
}

void Tally::Add(TimePoint at, bool passed) {
  const std::lock_guard lock(mutex_);
  if (counts_.in.frames > 0) longest_ = std::max(longest_, at - counts_.in.last);
  counts_.in.Add(at);
  if (passed) counts_.out.Add(at);
}

Counts Tally::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::optional<double> Tally::NewlySlow() {
  const std::lock_guard lock(mutex_);
  const Flow& in = counts_.in;
  // The longest interval is left out: it may have been an outage.
  const Duration steady = in.last - in.first - longest_;
  if (judged_ || in.frames < kJudgeFrames || steady < kJudgeAfter) return std::nullopt;
  judged_ = true;
  const double fps = static_cast<double>(in.frames - 2) * 1000 / ToMs(steady);
  if (fps >= kSlow * fps_) return std::nullopt;
  return fps;
}

}  // namespace stagger::relay
