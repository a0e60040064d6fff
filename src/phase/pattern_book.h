// The pattern book: every pattern of bursts that a process showed lately, and which of them are
// bodies. Shared by all threads of the process, so that a new thread starts with what others
// learned.
//
// Called under the detector's lock. Bounded: the patterns seen longest ago are forgotten. Learning
// a new pattern allocates; meeting a known one does not.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "phase/burst.h"
#include "phase/pattern.h"

namespace stagger::phase {

class PatternBook {
 public:
  static constexpr std::size_t kMaxPatterns = 96;
  static constexpr std::size_t kMaxBodies = 8;
  static constexpr std::size_t kMaxTokens = std::size_t{1} << 18;  // of all patterns

  // Bursts less than this are not worth a turn: asking for one costs tens of microseconds.
  static constexpr Duration kWorthATurn = std::chrono::microseconds{200};

  PatternBook() { patterns_.reserve(kMaxPatterns); }

  std::uint64_t tick() const { return tick_; }  // bursts recorded

  PatternRef Record(std::span<const Token> tokens, const Burst& burst);
  // Null if it was forgotten.
  Pattern* Find(PatternRef ref) { return Has(ref) ? &patterns_[ref.slot] : nullptr; }

  // The body that a burst beginning so would be.
  PatternRef BodyBeginning(const StartKeys& keys, Token first) const;
  // A body that begins with all these.
  PatternRef BodyContinuing(std::span<const Token> tokens) const;
  // Whether bursts beginning so were found to be light parts.
  bool KnownLight(const StartKeys& keys) const;
  // Whether light bursts, beside that body, consist of such launches.
  bool IsLight(Token token, PatternRef body) const;
  // The pattern that takes longest of those seen often; where nothing else tells inferences apart,
  // each begins with it.
  PatternRef Anchor() const;

  // Looking back: this burst was a heavy or a light part of its inference.
  void NoteHeavy(PatternRef ref, const StartKeys& keys);
  void NoteLight(PatternRef ref, const StartKeys& keys);
  // How a prediction by this pattern turned out. `foreign`: the burst was of another pattern.
  void NotePrediction(PatternRef ref, bool right, bool foreign);

  std::span<const Pattern> patterns() const { return patterns_; }
  std::size_t bodies() const { return body_count_; }
  std::size_t tokens() const { return token_count_; }

 private:
  bool Has(PatternRef ref) const { return ref.id != 0 && patterns_[ref.slot].id == ref.id; }
  PatternRef RefTo(std::size_t slot) const {
    return {static_cast<std::uint32_t>(slot), patterns_[slot].id};
  }
  std::uint64_t& LightKey(const StartKeys& keys) {
    return light_keys_[keys[0] % light_keys_.size()];
  }
  std::size_t FreeSlot();
  void MakeRoom();
  void Promote(Pattern& pattern);
  void Demote(Pattern& pattern);
  void ChooseDepth(Pattern& pattern);
  void FindEnd(Pattern& pattern);
  // How much of the end of tokens[0, end) is what light bursts consist of.
  std::size_t LightSuffix(const Pattern& pattern, std::size_t end) const;
  bool IsLightToken(Token token, const Pattern& body) const;

  std::vector<Pattern> patterns_;  // id 0: a free slot
  std::array<std::uint32_t, kMaxBodies> bodies_{};
  std::size_t body_count_ = 0;
  std::array<std::uint64_t, 256> light_keys_{};
  std::uint64_t tick_ = 0;
  std::uint32_t last_id_ = 0;
  std::size_t token_count_ = 0;
};

}  // namespace stagger::phase
