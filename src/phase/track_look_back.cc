// What a track finds when it looks back: how long the device took for each burst, which bursts of
// an inference were its heavy parts, and whether they had been told while they happened.
#include <algorithm>

#include "phase/track.h"

namespace stagger::phase {
namespace {

// Beside the heaviest burst of an inference, those of at least this part of it are heavy too.
constexpr double kHeavyPart = 0.4;

Duration Part(Duration whole, double part) {
  return Duration{static_cast<Duration::rep>(static_cast<double>(whole.count()) * part)};
}
// What the device can hardly take longer for, where the host did not have to wait.
constexpr Duration kLongLaunch = std::chrono::microseconds{100};
constexpr Duration kLongGraph = std::chrono::milliseconds{20};
// What a slice of a body without end should take: little beside what others wait anyway, much
// beside what handing on a turn costs.
constexpr Duration kSlice = std::chrono::milliseconds{10};
constexpr std::int64_t kLongestSlice = 8192;
constexpr std::uint64_t kSeenOften = 3;

std::int64_t Load(const Burst& burst) { return burst.work + kLaunchesPerGraph * burst.graphs; }

}  // namespace

// The host has waited: whatever was launched is done. The time goes to the bursts since the last
// wait, by their launches.
void Track::WeighBursts(TimePoint waited_from, TimePoint until) {
  last_wait_ = until;
  const TimePoint from = settled_at_;
  settled_at_ = until;
  if (closed_ - settled_ > kBursts) settled_ = closed_ - kBursts;
  if (settled_ == closed_) return;
  std::int64_t load = 0;
  Duration longest{0};
  for (std::uint64_t i = settled_; i < closed_; ++i) {
    load += Load(At(i));
    longest += At(i).work * kLongLaunch + At(i).graphs * kLongGraph;
  }
  const TimePoint start = std::max(from, At(settled_).start);
  Duration took = until - start;
  if (until - waited_from < kShortWait) took = std::min(took, longest);
  took = std::max(took, Duration{1});
  for (; settled_ < closed_; ++settled_) {
    Burst& burst = At(settled_);
    if (burst.measured) continue;
    burst.weight = Duration{took.count() * Load(burst) / load};
    Pattern* pattern = learned_->book.Find(burst.pattern);
    // A copy that was only asked for may return late, because the host was busy: in an app that
    // never waits, that would make a body of any length light for good. Taken for worth a turn by
    // mistake, it is measured.
    const bool by_chance =
        last_kind_ == CallKind::kCopyOut && until - waited_from < PatternBook::kWorthATurn;
    if (pattern == nullptr || (by_chance && burst.weight < pattern->Weight())) continue;
    pattern->AddWeight(burst.weight, false);
  }
}

bool Track::Measured(BodyId body, Duration device_time) {
  const auto slice = std::ranges::find(slices_, body, &Slice::body);
  if (slice != slices_.end()) {
    const std::int64_t fits =
        slice->load * kSlice.count() / std::max<Duration::rep>(device_time.count(), 1);
    slice_load_ = std::clamp<std::int64_t>(fits, 1, kLongestSlice);
    *slice = {};
    return true;
  }
  const std::uint64_t kept = std::min<std::uint64_t>(closed_, kBursts);
  for (std::uint64_t i = closed_; i > closed_ - kept; --i) {
    Burst& burst = At(i - 1);
    if (burst.body != body) continue;
    if (burst.sliced || burst.went_on) return true;  // that was its last part only
    burst.weight = device_time;
    burst.measured = true;
    if (Pattern* pattern = learned_->book.Find(burst.pattern))
      pattern->AddWeight(device_time, true);
    return true;
  }
  return false;
}

Duration Track::WeightOf(const Burst& burst) {
  const Pattern* pattern = learned_->book.Find(burst.pattern);
  return pattern != nullptr ? pattern->Weight() : burst.weight;
}

bool Track::EndInferenceBefore(std::uint64_t number) {
  const std::uint64_t from = inference_from_;
  inference_from_ = number;
  return number > from && LookBack(from, number);
}

// False if there was nothing worth a turn in it.
bool Track::LookBack(std::uint64_t from, std::uint64_t to) {
  std::uint64_t heaviest = from;
  for (std::uint64_t i = from; i < to; ++i)
    if (WeightOf(At(i)) > WeightOf(At(heaviest))) heaviest = i;
  const Duration most = WeightOf(At(heaviest));
  if (most < PatternBook::kWorthATurn) {
    for (std::uint64_t i = from; i < to; ++i) Judge(At(i), false);
    return false;
  }

  Inference seen;
  Finding finding = Finding::kAlike;
  bool settled = true;
  for (std::uint64_t i = from; i < to; ++i) {
    Burst& burst = At(i);
    const bool heavy =
        WeightOf(burst) >= std::max(PatternBook::kWorthATurn, Part(most, kHeavyPart));
    if (i <= heaviest) seen.copies_in += burst.copies_in;
    if (i > heaviest && !heavy) ++seen.light_bursts;
    if (heavy) {
      ++seen.bodies;
      const Pattern* pattern = learned_->book.Find(burst.pattern);
      settled = settled && pattern != nullptr && pattern->IsSteady();
    }
    finding = std::max(finding, Judge(burst, heavy));
  }
  const Burst& body = At(heaviest);
  seen.begin = std::min(inference_begin_, body.start);
  seen.body_begin = body.start;
  seen.end = std::max(last_wait_, body.start);
  seen.body = body.weight > Duration{0} ? body.weight : most;
  seen.graphs = body.graphs;
  seen.launches = (body.body != 0 ? body.ended_at : body.work) - body.graphs;
  inference_ = seen;
  // Without copies or labels, trials of one kernel look like inferences: only many count.
  const std::uint32_t sort = bounded_ ? 0 : body.pattern.id;
  learned_->confidence.AddInference(finding, settled, sort);
  return true;
}

Finding Track::Judge(Burst& burst, bool heavy) {
  PatternBook& book = learned_->book;
  const Pattern* pattern = book.Find(burst.pattern);
  const bool was_predicted = burst.predicted.id != 0;
  if (!heavy) {
    if (was_predicted)
      book.NotePrediction(burst.predicted, false, burst.predicted != burst.pattern);
    book.NoteLight(burst.pattern, burst.keys);
    return burst.body == 0 ? Finding::kAlike : Finding::kUnlike;
  }
  Finding finding = Finding::kUnlike;
  bool right = false;
  if (pattern != nullptr && pattern->seen >= kSeenOften) {
    const bool is_new = !pattern->is_body || burst.opened_tick < pattern->body_since;
    const bool had_a_chance = burst.watched && (!is_new || pattern->failures > 0);
    right = burst.predicted == burst.pattern && !burst.went_on &&
            burst.ended_at == (pattern->end != 0 ? pattern->end : burst.work);
    if (!had_a_chance) finding = Finding::kNew;
    // Right, but where the end is not known it is not to be called sure.
    if (right && pattern->end != 0) finding = Finding::kAlike;
  }
  if (was_predicted) book.NotePrediction(burst.predicted, right, false);
  book.NoteHeavy(burst.pattern, burst.keys);
  return finding;
}

}  // namespace stagger::phase
