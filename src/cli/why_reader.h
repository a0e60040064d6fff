// Of one stream in the daemon's answer to "why": what is said of it, part by part. Private to
// why_text.cc and its siblings.
#pragma once

#include <string>

#include "console/sentences.h"
#include "documents/why.h"

namespace stagger::cli {

inline std::string Ago(double seconds) { return Time(seconds * 1000) + " ago"; }

class WhyReader {
 public:
  // `answer` outlives it, and so does `one`, its part that is about the stream.
  WhyReader(const documents::Why& answer, const documents::WhyStream& one)
      : answer_(answer),
        one_(one),
        stream_(one.stream),
        device_(one.device.value_or(documents::Device())) {}
  std::string Read() const;

 private:
  // why_text.cc
  std::string Head() const;
  Paragraph Rate() const;
  Paragraph Lowered() const;
  std::string Excess() const;
  std::string WhyShort() const;
  std::string Weights() const;
  // why_waits.cc
  std::string PolicyText() const;
  std::string Now() const;
  Paragraph Waiting() const;
  Paragraph Turns() const;
  std::string LastWaits() const;
  // why_facts.cc
  Paragraph Admission() const;
  std::string Last(const char* kind) const;
  Paragraph Leases() const;
  Paragraph WithoutTurn() const;
  Paragraph Bodies() const;
  Paragraph Placement() const;
  std::string WaitThere() const;
  Paragraph Gpu() const;

  bool IsLowered() const {
    return stream_.fps_required && stream_.fps_assigned.value_or(0) < *stream_.fps_required;
  }

  const documents::Why& answer_;
  const documents::WhyStream& one_;
  const documents::Stream& stream_;
  documents::Device device_;  // all empty before it asked for a turn
};

}  // namespace stagger::cli
