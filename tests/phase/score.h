// Feeds a trace to a detector as the agent would, and compares what it said with the truth.
#pragma once

#include <string>

#include "phase/detector.h"
#include "synthetic_app.h"

namespace stagger::phase {

struct Score {
  int frames = 0;  // looked at: settled, and after the ones the detector may learn from
  int right = 0;   // one body, begin and end within 2 ms of the truth
  int begins = 0;
  int warmup_begins = 0;  // in frames of the warm-up
  int sure_steps = 0;     // calls at which the detector was sure
  double highest_confidence = 0;
  State state{};
  double confidence = 0;
  std::string reason;
  std::string first_wrong;  // of the frames looked at

  double ratio() const { return frames > 0 ? static_cast<double>(right) / frames : 0; }
};

struct ScoreOptions {
  int learning = 20;  // frames the detector may learn from, after the start and after each change
  std::vector<int> changes;  // frames with which the app becomes another
  Duration gate_wait{0};     // at most, at each begin; all that follows happens so much later
  bool measured = true;      // the agent tells how long bodies took
};

Score Judge(const Trace& trace, const ScoreOptions& options = {});

}  // namespace stagger::phase
