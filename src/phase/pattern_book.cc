#include "phase/pattern_book.h"

#include <algorithm>
#include <bit>

namespace stagger::phase {
namespace {

// A light burst this much lighter than the body may be cut off the body's end.
constexpr int kMuchLighter = 8;
constexpr std::size_t kLongestLightBurst = 64;
constexpr int kMostCuts = 4;
// Heavy occurrences before a pattern is trusted; twice as many after each failure.
constexpr std::uint32_t kTrusted = 3;

bool IsLightBeside(const Pattern& pattern, const Pattern& body) {
  return pattern.id != 0 && !pattern.is_body && pattern.light >= 2 &&
         pattern.tokens.size() <= kLongestLightBurst &&
         pattern.Weight() * kMuchLighter <= body.Weight();
}

}  // namespace

PatternRef PatternBook::Record(std::span<const Token> tokens, const Burst& burst) {
  ++tick_;
  std::size_t best = patterns_.size(), best_common = 0;
  for (std::size_t slot = 0; slot < patterns_.size(); ++slot) {
    const Pattern& pattern = patterns_[slot];
    if (pattern.id == 0 || pattern.tokens.front() != tokens.front()) continue;
    const std::size_t common = pattern.CommonWith(tokens);
    if (common <= best_common || !pattern.Covers(tokens, burst.work, common)) continue;
    best = slot;
    best_common = common;
  }
  if (best < patterns_.size()) {
    Pattern& pattern = patterns_[best];
    token_count_ -= pattern.tokens.size();
    pattern.Add(tokens, burst, best_common);
    token_count_ += pattern.tokens.size();
  } else {
    best = FreeSlot();
    patterns_[best] = Pattern(++last_id_, tokens, burst);
    token_count_ += tokens.size();
  }
  Pattern& now = patterns_[best];
  if (now.seen > 1) now.interval = (3 * now.interval + (tick_ - now.last_tick) + 3) / 4;
  now.last_tick = tick_;
  const PatternRef ref = RefTo(best);
  MakeRoom();
  return ref;
}

std::size_t PatternBook::FreeSlot() {
  for (std::size_t slot = 0; slot < patterns_.size(); ++slot)
    if (patterns_[slot].id == 0) return slot;
  patterns_.emplace_back();
  return patterns_.size() - 1;
}

// Forgets what was seen longest ago, bodies last, and leaves one slot free. The newest stays.
void PatternBook::MakeRoom() {
  const auto used = [&] {
    return static_cast<std::size_t>(
        std::ranges::count_if(patterns_, [](const Pattern& p) { return p.id != 0; }));
  };
  while (used() >= kMaxPatterns || token_count_ > kMaxTokens) {
    Pattern* oldest = nullptr;
    const auto older = [](const Pattern& a, const Pattern& b) {
      return a.is_body != b.is_body ? b.is_body : a.last_tick < b.last_tick;
    };
    for (Pattern& pattern : patterns_) {
      if (pattern.id == 0 || pattern.last_tick == tick_) continue;
      if (oldest == nullptr || older(pattern, *oldest)) oldest = &pattern;
    }
    if (oldest == nullptr) return;
    Demote(*oldest);
    token_count_ -= oldest->tokens.size();
    *oldest = Pattern();
  }
}

PatternRef PatternBook::BodyBeginning(const StartKeys& keys, Token first) const {
  const Pattern* found = nullptr;
  std::size_t at = 0;
  for (std::size_t i = 0; i < body_count_; ++i) {
    const Pattern& body = patterns_[bodies_[i]];
    if (body.tokens.front() != first || !body.BeganWith(keys, body.depth)) continue;
    if (found != nullptr && found->last_tick >= body.last_tick) continue;
    found = &body;
    at = bodies_[i];
  }
  return found != nullptr ? RefTo(at) : PatternRef{};
}

PatternRef PatternBook::BodyContinuing(std::span<const Token> tokens) const {
  for (std::size_t i = 0; i < body_count_; ++i)
    if (patterns_[bodies_[i]].CommonWith(tokens) == tokens.size()) return RefTo(bodies_[i]);
  return {};
}

bool PatternBook::KnownLight(const StartKeys& keys) const {
  return light_keys_[keys[0] % light_keys_.size()] == keys[0];
}

bool PatternBook::IsLight(Token token, PatternRef body) const {
  return Has(body) && IsLightToken(token, patterns_[body.slot]);
}

PatternRef PatternBook::Anchor() const {
  std::size_t best = patterns_.size();
  Duration most = kWorthATurn;
  for (std::size_t slot = 0; slot < patterns_.size(); ++slot) {
    const Pattern& pattern = patterns_[slot];
    if (pattern.id == 0 || pattern.seen < 3 || pattern.Weight() < most) continue;
    // One of another time, say of the warm-up, would never come again.
    if (tick_ - pattern.last_tick > 4 * (pattern.interval + 1)) continue;
    most = pattern.Weight();
    best = slot;
  }
  return best < patterns_.size() ? RefTo(best) : PatternRef{};
}

void PatternBook::NoteHeavy(PatternRef ref, const StartKeys& keys) {
  if (LightKey(keys) == keys[0]) LightKey(keys) = 0;
  Pattern* pattern = Find(ref);
  if (pattern == nullptr) return;
  ++pattern->heavy;
  if (!pattern->is_body && pattern->heavy >= kTrusted << std::min(pattern->failures, 8u))
    Promote(*pattern);
  if (pattern->is_body) FindEnd(*pattern);
}

void PatternBook::NoteLight(PatternRef ref, const StartKeys& keys) {
  Pattern* pattern = Find(ref);
  if (pattern != nullptr) ++pattern->light;
  if (pattern == nullptr || !pattern->is_body) LightKey(keys) = keys[0];
}

void PatternBook::NotePrediction(PatternRef ref, bool right, bool foreign) {
  Pattern* body = Find(ref);
  if (body == nullptr || !body->is_body) return;
  body->misses = static_cast<std::uint8_t>(body->misses << 1 | (right ? 0 : 1));
  if (right) return;
  if (foreign && body->depth + 1 < kDepths) ++body->depth;
  if (std::popcount(body->misses) < 4) return;
  // First it is not trusted to know its end, then not at all until it has proved itself again.
  body->misses = 0;
  if (!body->end_at_burst_end) {
    body->end_at_burst_end = true;
    FindEnd(*body);
  } else {
    Demote(*body);
  }
}

void PatternBook::Promote(Pattern& pattern) {
  if (body_count_ == kMaxBodies) {
    Pattern* oldest = nullptr;
    for (const std::uint32_t slot : bodies_) {
      Pattern& body = patterns_[slot];
      if (oldest == nullptr || body.last_tick < oldest->last_tick) oldest = &body;
    }
    Demote(*oldest);
  }
  bodies_[body_count_++] = static_cast<std::uint32_t>(&pattern - patterns_.data());
  pattern.is_body = true;
  pattern.body_since = tick_;
  pattern.misses = 0;
  ChooseDepth(pattern);
}

void PatternBook::Demote(Pattern& pattern) {
  if (!pattern.is_body) return;
  pattern.is_body = false;
  pattern.heavy = 0;
  ++pattern.failures;
  const auto slot = static_cast<std::uint32_t>(&pattern - patterns_.data());
  const auto last = bodies_.begin() + static_cast<std::ptrdiff_t>(body_count_);
  body_count_ =
      static_cast<std::size_t>(std::remove(bodies_.begin(), last, slot) - bodies_.begin());
}

// As little of what precedes as tells the body from everything that is none.
void PatternBook::ChooseDepth(Pattern& body) {
  for (body.depth = 0; body.depth + 1 < kDepths; ++body.depth) {
    const bool mistaken = std::ranges::any_of(patterns_, [&](const Pattern& other) {
      return other.id != 0 && other.id != body.id && !other.is_body && other.light > other.heavy &&
             other.SharesKeyWith(body, body.depth);
    });
    if (!mistaken) return;
  }
}

std::size_t PatternBook::LightSuffix(const Pattern& body, std::size_t end) const {
  std::size_t longest = 0;
  for (const Pattern& light : patterns_) {
    const std::size_t n = light.tokens.size();
    if (n <= longest || n * 2 > end || !IsLightBeside(light, body)) continue;
    const auto last = body.tokens.begin() + static_cast<std::ptrdiff_t>(end);
    if (std::equal(light.tokens.begin(), light.tokens.end(), last - static_cast<std::ptrdiff_t>(n)))
      longest = n;
  }
  return longest;
}

bool PatternBook::IsLightToken(Token token, const Pattern& body) const {
  return std::ranges::any_of(patterns_, [&](const Pattern& light) {
    return light.tokens.size() <= kLongestLightBurst &&
           std::ranges::find(light.tokens, token) != light.tokens.end() &&
           IsLightBeside(light, body);
  });
}

// Between the last launch of the body and the first wait of the host the app may have launched the
// first of its post-processing already. What light bursts consist of is cut off the end. Where the
// end varies in another way it is not known to be light, and the body lasts until the burst ends.
void PatternBook::FindEnd(Pattern& body) {
  body.end = 0;
  const std::size_t known = body.tokens.size();
  if (body.end_at_burst_end || body.work > known) return;
  std::size_t end = std::min(body.StableLength(), known);
  for (int cuts = 0; cuts < kMostCuts; ++cuts) {
    const std::size_t light = LightSuffix(body, end);
    if (light == 0) break;
    end -= light;
  }
  if (end == 0 || known - end > kLongestLightBurst * kMostCuts) return;
  for (std::size_t i = end; i < known; ++i)
    if (!IsLightToken(body.tokens[i], body)) return;
  const bool varies = body.StableLength() < known;
  while (varies && end > known / 2 && IsLightToken(body.tokens[end - 1], body)) --end;
  body.end = static_cast<std::uint32_t>(end);
}

}  // namespace stagger::phase
