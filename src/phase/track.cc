// What a track decides while it happens. track_look_back.cc has what it finds afterwards.
#include "phase/track.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace stagger::phase {
namespace {

// The host did something else for so long: where frames are paced by a camera and never waited for,
// this is all that parts them. A burst is parted there only if what follows once began a burst.
constexpr Duration kPause = std::chrono::microseconds{500};
// While nothing is known, a body may begin so long after the last, whatever preceded it.
constexpr Duration kCarefulAgain = std::chrono::milliseconds{50};
// So long after the last body, what was learned of inferences may not hold any more.
constexpr Duration kUnknownLong = std::chrono::seconds{1};
// Copies in begin an inference if they are no smaller than this part of what usually comes in.
constexpr std::uint64_t kBigPart = 16;
// While warming up, a burst that goes on for so long is one that never ends.
constexpr Duration kEndless = std::chrono::milliseconds{500};

bool IsLaunch(CallKind kind) { return kind == CallKind::kLaunch || kind == CallKind::kGraphLaunch; }

// Sizes vary a little from frame to frame; their magnitude does not.
std::uint64_t Magnitude(std::uint64_t bytes) {
  return static_cast<std::uint64_t>(std::bit_width(bytes));
}

Token TokenOf(const Call& call) {
  switch (call.kind) {
    case CallKind::kLaunch:
    case CallKind::kGraphLaunch:
      return MakeToken(call.kind, call.hash);
    case CallKind::kCopyIn:
    case CallKind::kCopyOnDevice:
      return MakeToken(call.kind, Magnitude(call.bytes));
    default:
      return MakeToken(call.kind, 0);
  }
}

}  // namespace

// Where it begins or ends something, or where a pause before it would part the burst.
bool Track::NeedsTime(const Call& call) {
  switch (call.kind) {
    case CallKind::kLaunch:
    case CallKind::kGraphLaunch: {
      if (!open_) return true;
      const Token token = TokenOf(call);
      if (Expects(token)) return false;
      const auto known = std::ranges::find(Starts(), token, &Start::token);
      return known != Starts().end() ? !known->inside : token == tokens_.front();
    }
    case CallKind::kCopyIn:
      return open_ ? IsBig(call.bytes) : copies_in_ == 0;
    case CallKind::kCopyOut:
    case CallKind::kBlockingSync:
    case CallKind::kQuery:
    case CallKind::kLabelBegin:
    case CallKind::kLabelEnd:
      return true;
    default:
      return false;
  }
}

bool Track::IsAsKnown(const Call& launch) {
  if (!open_ || polls_ > 0 || untold_ != 0) return false;
  if (burst_.sliced || burst_.went_on) return false;
  const Token token = MakeToken(CallKind::kLaunch, launch.hash);
  if (token == tokens_.front() && !first_inside_) return false;
  if (!(body_ != 0 ? IsInside(token) : IsOutside(token))) return false;
  ++burst_.work;
  ++slice_.load;
  tokens_.push_back(token);
  last_kind_ = CallKind::kLaunch;
  entered_ = last_ = std::max(last_, launch.at);
  return true;
}

// Of a body whose pattern is known; not its last launch.
bool Track::IsInside(Token token) {
  if (!following_) return false;
  const Pattern* pattern = learned_->book.Find(following_to_);
  if (pattern == nullptr || burst_.work + 1 >= pattern->end) return false;
  return burst_.work < pattern->tokens.size() && pattern->tokens[burst_.work] == token;
}

// Of a burst without a body, and no burst has begun so without a pause: one would part this burst.
bool Track::IsOutside(Token token) const {
  return burst_.body == 0 && burst_.watched && !learned_->confidence.warming_up() &&
         !MayBegin(token) && tokens_.size() < Pattern::kMaxTokens;
}

Verdict Track::Before(const Call& call) {
  Verdict verdict;
  if (polls_ > 0 && call.kind != CallKind::kQuery) {
    if (polls_ >= kQueriesOfAWait) WeighBursts(polled_from_, last_);
    polls_ = 0;
  }
  switch (call.kind) {
    case CallKind::kLaunch:
    case CallKind::kGraphLaunch:
    case CallKind::kCopyOnDevice:
    case CallKind::kMemset:
    case CallKind::kStreamWait:
      Work(call, &verdict);
      break;
    case CallKind::kCopyIn:
      CopyIn(call, &verdict);
      break;
    case CallKind::kCopyOut:
    case CallKind::kBlockingSync:
      Wait(call, &verdict);
      break;
    case CallKind::kQuery:
      Query(call, &verdict);
      break;
    case CallKind::kLabelBegin:
      LabelBegin(call, &verdict);
      break;
    case CallKind::kLabelEnd:
      LabelEnd(&verdict);
      break;
    case CallKind::kEventRecord:
    case CallKind::kHostFunction:
    case CallKind::kMemory:
      break;
  }
  if (untold_ != 0) verdict.ended_before = std::exchange(untold_, 0);
  last_kind_ = call.kind;
  entered_ = last_ = std::max(last_, call.at);
  return verdict;
}

void Track::Returned(TimePoint at) {
  const bool sync = last_kind_ == CallKind::kBlockingSync;
  // A copy out that returns at once was only asked for.
  const bool copied = last_kind_ == CallKind::kCopyOut && at - entered_ >= kShortWait;
  if (sync || copied) WeighBursts(entered_, at);
  if (open_ && burst_.work == 1 && IsLaunch(last_kind_))
    burst_.start = at;  // it waited at the gate
  last_ = std::max(last_, at);
}

void Track::Work(const Call& call, Verdict* verdict) {
  const Token token = TokenOf(call);
  const bool launch = IsLaunch(call.kind);
  bool after_pause = false;
  if (open_ && launch && token == tokens_.front() && call.at - last_ < kPause) {
    NoteStart(token, true);
    first_inside_ = true;
  }
  if (open_ && launch && call.at - last_ >= kPause && !Expects(token) && BeganABurst(token)) {
    verdict->ended_before = Close(verdict);
    after_pause = true;
  }
  if (open_ && IsEndless(call.at)) {
    open_ = false;
    ends_by_wait_ = false;
    learned_->confidence.AddEndlessBurst();
  }
  if (!open_) {
    if (!launch) return history_.Push(token);
    Open(call, token, after_pause, verdict);
  } else if (launch && (resume_ || SliceIsOver())) {
    verdict->ended_before = body_;
    burst_.sliced = true;
    slices_[next_slice_++ % slices_.size()] = slice_;
    BeginBody(verdict);
  } else if (launch && GoesOn(token)) {
    // Nothing is known of it: as any such body it lasts until the host waits.
    following_ = false;
    burst_.went_on = true;
    BeginBody(verdict);
  }
  ++burst_.work;
  if (call.kind == CallKind::kGraphLaunch) ++burst_.graphs;
  if (launch) slice_.load += call.kind == CallKind::kGraphLaunch ? kLaunchesPerGraph : 1;
  const bool may_never_end = burst_.sliced || (burst_.went_on && !ends_by_wait_);
  if (launch && may_never_end && !following_) verdict->marked = body_;
  if (tokens_.size() < Pattern::kMaxTokens) tokens_.push_back(token);
  if (body_ != 0 && following_) Follow(token, verdict);
}

void Track::Open(const Call& call, Token token, bool after_pause, Verdict* verdict) {
  PatternBook& book = learned_->book;
  if (bursts_.empty()) bursts_.resize(kBursts);
  if (copies_in_ > 0) {
    if (label_depth_ == 0 && IsBig(bytes_in_)) boundary_ = true;
    bytes_before_bursts_.Add(bytes_in_);
    // The largest is left out: it may have been the model itself.
    const std::size_t n = bytes_before_bursts_.values().size();
    usual_bytes_ = bytes_before_bursts_.Ordered(n >= 2 ? n - 2 : 0);
  }
  if (boundary_) {
    verdict->inference_ended |= EndInferenceBefore(closed_);
    if (label_depth_ == 0) inference_begin_ = first_copy_in_;
    anchors_ = 0;
    bounded_ = true;
  }
  open_ = true;
  first_inside_ = false;
  tokens_.clear();
  burst_ = Burst();
  burst_.keys = history_.KeysBefore(token);
  burst_.start = call.at;
  burst_.copies_in = copies_in_;
  burst_.opened_tick = book.tick();
  burst_.watched = !learned_->confidence.warming_up();
  if (!after_pause) NoteStart(token, false);

  if (burst_.watched) {
    burst_.predicted = following_to_ = book.BodyBeginning(burst_.keys, token);
    bool begins = following_to_.id != 0;
    if (!begins && CarefulBegin(call.at, burst_.keys)) {
      begins = true;
      // Perhaps a body we know, after something new.
      burst_.predicted = following_to_ = book.BodyContinuing({&token, 1});
    }
    following_ = following_to_.id != 0;
    if (begins) BeginBody(verdict);
  }
  boundary_ = false;
  copies_in_ = 0;
  bytes_in_ = 0;
}

void Track::BeginBody(Verdict* verdict) {
  verdict->begun = body_ = burst_.body = ++learned_->last_body;
  slice_ = {body_, 0};
  resume_ = false;
}

// An app that never lets the device rest, nor waits for it, would warm up for ever.
bool Track::IsEndless(TimePoint now) const {
  return (learned_->confidence.warming_up() || !burst_.watched) &&
         (burst_.work >= Pattern::kMaxTokens || now - burst_.start >= kEndless);
}

bool Track::SliceIsOver() const {
  return body_ != 0 && !following_ && !ends_by_wait_ && slice_.load >= slice_load_;
}

// The burst's body ended at its known last launch, and what follows is no post-processing that was
// launched with it: the model has grown, or something else is on.
bool Track::GoesOn(Token token) const {
  const bool ended_as_known = body_ == 0 && burst_.body != 0 && following_;
  return ended_as_known && !learned_->book.IsLight(token, following_to_);
}

// Begins without a pattern: where the device was given something new, or had a rest.
bool Track::CarefulBegin(TimePoint now, const StartKeys& keys) const {
  if (learned_->book.KnownLight(keys)) return false;
  // What an inference begins with is known: what comes later and is unknown is its own affair.
  const bool known = learned_->confidence.state() == State::kSure && bounded_;
  if (known && now - body_over_ < kUnknownLong) return boundary_;
  return boundary_ || now - last_ >= kPause || now - body_over_ >= kCarefulAgain;
}

bool Track::Expects(Token token) {
  if (body_ == 0 || !following_) return false;
  const Pattern* pattern = learned_->book.Find(following_to_);
  return pattern != nullptr && burst_.work < pattern->end && pattern->tokens[burst_.work] == token;
}

bool Track::BeganABurst(Token token) {
  return std::ranges::any_of(Starts(),
                             [&](const Start& s) { return s.token == token && !s.inside; });
}

void Track::NoteStart(Token token, bool inside) {
  const auto known = std::ranges::find(Starts(), token, &Start::token);
  if (known != Starts().end()) {
    known->inside |= inside;
  } else {
    starts_[next_start_++ % starts_.size()] = {token, inside};
  }
  start_bits_ = 0;
  for (const Start& start : Starts()) start_bits_ |= start.inside ? 0 : BitOf(start.token);
}

// The token has just been added to the burst.
void Track::Follow(Token token, Verdict* verdict) {
  PatternBook& book = learned_->book;
  const Pattern* pattern = book.Find(following_to_);
  const std::size_t at = burst_.work - 1;
  const auto as_known = [&] {
    return pattern != nullptr && at < pattern->tokens.size() && pattern->tokens[at] == token;
  };
  if (!as_known()) {
    // Perhaps another body that begins alike.
    following_to_ = burst_.work <= tokens_.size() ? book.BodyContinuing(tokens_) : PatternRef{};
    pattern = book.Find(following_to_);
    following_ = pattern != nullptr;
    burst_.predicted = following_to_;
    if (!following_) return;
  }
  if (pattern->end == 0 || burst_.work < pattern->end) return;
  verdict->ended_after = body_;
  burst_.ended_at = burst_.work;
  body_ = 0;
  body_over_ = last_;
}

BodyId Track::Close(Verdict* verdict) {
  resume_ = false;
  ends_by_wait_ = false;
  const BodyId ended = body_;
  if (body_ != 0) {
    burst_.ended_at = burst_.work;
    body_ = 0;
    body_over_ = last_;
  }
  open_ = false;
  burst_.pattern = learned_->book.Record(tokens_, burst_);
  learned_->confidence.AddBurst(last_);
  At(closed_++) = burst_;
  history_.Push(tokens_.front() + 1);
  if (closed_ - inference_from_ >= kBursts) {
    EndInferenceBefore(closed_);
    bounded_ = false;
  } else if (label_depth_ == 0 && burst_.pattern == learned_->book.Anchor() && ++anchors_ >= 2) {
    verdict->inference_ended |= EndInferenceBefore(closed_ - 1);
    inference_begin_ = burst_.start;
    bounded_ = false;
  }
  return ended;
}

void Track::CopyIn(const Call& call, Verdict* verdict) {
  // Networks make small things on the host as they go.
  if (open_ && !IsBig(call.bytes)) return;
  if (open_) verdict->ended_before = Close(verdict);
  if (copies_in_++ == 0) first_copy_in_ = call.at;
  bytes_in_ += call.bytes;
  history_.Push(TokenOf(call));
}

bool Track::IsBig(std::uint64_t bytes) const { return bytes * kBigPart >= usual_bytes_; }

void Track::Wait(const Call& call, Verdict* verdict) {
  if (open_) verdict->ended_after = Close(verdict);
  ends_by_wait_ = true;
  history_.Push(TokenOf(call));
}

void Track::Query(const Call& call, Verdict* verdict) {
  if (polls_ == 0 || call.hash != polled_) {
    polls_ = 0;
    polled_ = call.hash;
    polled_from_ = call.at;
  }
  const bool waited = polls_ >= kQueriesOfAWait;
  polls_ += call.queries;
  if (waited || polls_ < kQueriesOfAWait) return;
  if (open_) verdict->ended_after = Close(verdict);
  ends_by_wait_ = true;
  history_.Push(MakeToken(CallKind::kBlockingSync, 0));
}

void Track::LabelBegin(const Call& call, Verdict* verdict) {
  if (label_depth_++ > 0) return;
  if (open_) verdict->ended_before = Close(verdict);
  verdict->inference_ended |= EndInferenceBefore(closed_);
  boundary_ = true;
  inference_begin_ = call.at;
  history_.Push(TokenOf(call));
}

void Track::LabelEnd(Verdict* verdict) {
  if (label_depth_ == 0 || --label_depth_ > 0) return;
  if (open_) verdict->ended_before = Close(verdict);
  verdict->inference_ended |= EndInferenceBefore(closed_);
  boundary_ = false;
}

bool Track::EndInference() { return EndInferenceBefore(closed_); }

void Track::GivenBack() {
  EndByOther();
  resume_ = true;
}

BodyId Track::EndByOther() {
  const BodyId ended = body_;
  burst_.ended_at = burst_.work;
  body_ = 0;
  body_over_ = last_;
  return ended;
}

}  // namespace stagger::phase
