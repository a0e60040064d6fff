// A track: what one thread does in one context, cut into bursts and inferences as it happens.
//
// Decides at each call, from the pattern book, whether a body begins or ends. When an inference is
// over it looks back at the whole of it, finds its heavy bursts, and tells the book and the
// confidence what it found. Called under the detector's lock. Bounded; allocates while its buffers
// grow.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/time.h"
#include "phase/burst.h"
#include "phase/call.h"
#include "phase/confidence.h"
#include "phase/pattern_book.h"

namespace stagger::phase {

// What tracks of a process share.
struct Learned {
  PatternBook book;
  Confidence confidence;
  BodyId last_body = 0;
};

// One inference as looked back at.
struct Inference {
  TimePoint begin;              // its first copy in, or the framework's call; else its first launch
  TimePoint body_begin;         // its heaviest burst's first launch
  TimePoint end;                // when the host last had something from the device
  Duration body{0};             // device time, estimated or measured
  std::uint32_t copies_in = 0;  // before the heaviest burst
  std::uint32_t launches = 0;   // of its body
  std::uint32_t graphs = 0;
  std::uint32_t bodies = 0;        // heavy bursts
  std::uint32_t light_bursts = 0;  // after the heaviest
};

class Track {
 public:
  explicit Track(Learned* learned) : learned_(learned) {}

  bool NeedsTime(const Call& call);
  Verdict Before(const Call& call);
  // Nearly all launches: of a body, as its pattern says, and not its last; or of a burst that is
  // known to have none. Then the launch is noted, and nothing follows from it. False: nothing was
  // done, ask Before.
  bool IsAsKnown(const Call& launch);
  // The track's last call returned, or the wait at the gate before it is over.
  void Returned(TimePoint at);
  // A thread that launches nothing waits for the device.
  BodyId EndByOther();
  // This body's end, just told, could not be passed on: the next call tells it again.
  void TellLater(BodyId ended) { untold_ = ended; }
  // The device has done all of the open body, and nothing more came.
  void GivenBack();
  // The thread did nothing for long, or is forgotten: its inference is over.
  bool EndInference();
  // The device time of a body; false if it was not this track's.
  bool Measured(BodyId body, Duration device_time);

  bool is_open() const { return open_; }
  bool has_launched() const { return open_ || closed_ > 0; }
  // A body whose end will not be known before the host waits.
  bool needs_wait_to_end() const { return body_ != 0 && !following_; }
  TimePoint last() const { return last_; }
  const Inference& last_inference() const { return inference_; }
  BodyId open_body() const { return body_; }

 private:
  static constexpr std::size_t kBursts = 512;  // of one inference; longer ones are cut
  // A wait that returns sooner found the device done.
  static constexpr Duration kShortWait = std::chrono::microseconds{20};

  void Work(const Call& call, Verdict* verdict);
  void CopyIn(const Call& call, Verdict* verdict);
  void Wait(const Call& call, Verdict* verdict);
  void Query(const Call& call, Verdict* verdict);
  void LabelBegin(const Call& call, Verdict* verdict);
  void LabelEnd(Verdict* verdict);

  bool IsInside(Token token);
  bool IsOutside(Token token) const;
  void Open(const Call& call, Token token, bool after_pause, Verdict* verdict);
  bool IsEndless(TimePoint now) const;
  bool SliceIsOver() const;
  bool GoesOn(Token token) const;
  void BeginBody(Verdict* verdict);
  bool CarefulBegin(TimePoint now, const StartKeys& keys) const;
  void Follow(Token token, Verdict* verdict);
  // Returns the body that was still open.
  BodyId Close(Verdict* verdict);
  bool Expects(Token token);
  bool BeganABurst(Token token);
  void NoteStart(Token token, bool inside);
  void WeighBursts(TimePoint waited_from, TimePoint until);
  Duration WeightOf(const Burst& burst);
  bool IsBig(std::uint64_t bytes) const;

  Burst& At(std::uint64_t number) { return bursts_[number % kBursts]; }
  bool EndInferenceBefore(std::uint64_t number);
  bool LookBack(std::uint64_t from, std::uint64_t to);
  Finding Judge(Burst& burst, bool heavy);

  Learned* learned_;
  StartHistory history_;
  TimePoint last_;  // when the last call was entered or returned

  // The burst that is open.
  bool open_ = false;
  bool first_inside_ = false;  // its first launch came again, and that is noted
  Burst burst_;
  std::vector<Token> tokens_;
  BodyId body_ = 0;          // not over yet
  BodyId untold_ = 0;        // over, but not said yet
  PatternRef following_to_;  // the pattern that says where it ends
  bool following_ = false;
  TimePoint body_over_;

  // Slices: where nothing tells a body's end, it is cut after so much work.
  struct Slice {
    BodyId body = 0;
    std::int64_t load = 0;
  };
  static constexpr std::int64_t kFirstSlice = 64;  // nothing is measured yet
  Slice slice_;                                    // of the open body
  std::array<Slice, 4> slices_{};                  // begun before, not measured yet
  std::size_t next_slice_ = 0;
  std::int64_t slice_load_ = kFirstSlice;
  bool resume_ = false;        // the body was given back; the next launch begins another
  bool ends_by_wait_ = false;  // as the last burst did

  // Bursts that are closed: numbers count up, the last kBursts are kept.
  std::vector<Burst> bursts_;
  std::uint64_t closed_ = 0;
  std::uint64_t settled_ = 0;  // weights known up to here
  std::uint64_t inference_from_ = 0;
  TimePoint settled_at_;
  // How bursts began that did not begin after a pause; `inside`: such launches are also within
  // bursts.
  struct Start {
    Token token = 0;
    bool inside = false;
  };
  std::array<Start, 16> starts_{};
  std::size_t next_start_ = 0;
  std::span<Start> Starts() {
    return std::span(starts_).first(std::min(next_start_, starts_.size()));
  }
  // A bit for each that is not within bursts: where it is not set the token is none of these, and
  // nobody need search.
  std::uint64_t start_bits_ = 0;
  static std::uint64_t BitOf(Token token) { return std::uint64_t{1} << token % 64; }
  bool MayBegin(Token token) const { return (start_bits_ & BitOf(token)) != 0; }

  // What came in since the last burst.
  std::uint32_t copies_in_ = 0;
  std::uint64_t bytes_in_ = 0;
  TimePoint first_copy_in_;
  Recent<std::uint64_t, 16> bytes_before_bursts_;
  std::uint64_t usual_bytes_ = 0;  // what usually comes in
  bool boundary_ = false;          // an inference begins with the next burst
  bool bounded_ = false;           // copies in or a label began the inference
  int anchors_ = 0;                // bursts of the book's anchor since the last boundary
  int label_depth_ = 0;

  CallKind last_kind_{};
  TimePoint entered_;    // the last call
  TimePoint last_wait_;  // when the host last had something from the device
  std::uint64_t polled_ = 0;
  std::uint32_t polls_ = 0;  // queries of one thing in a row
  TimePoint polled_from_;

  TimePoint inference_begin_;
  Inference inference_;
};

}  // namespace stagger::phase
