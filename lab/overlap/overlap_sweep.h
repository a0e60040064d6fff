// What an overlap sweep tries, and what its probes say. Pure: the same seed, the same order.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/sim/calibration.h"

namespace stagger::cli {

// From 0 in twenty steps: of 5 ms, as the paper's, where an inference that takes `inference_ms`
// fits that; else up to a quarter more than its length, so that the last ones hardly touch.
std::vector<double> SweepOffsets(double inference_ms);

// Which offset comes next, and whose body goes first. Each round has every offset once, in an order
// of its own; which of the two goes first alternates.
class SweepOrder {
 public:
  SweepOrder(std::size_t offsets, int rounds, std::uint64_t seed);

  struct Next {
    std::size_t offset;  // index
    int first;           // 0 or 1
  };
  std::optional<Next> Take();
  // The one taken last did not work out: it comes again at the end.
  void PutBack(const Next& probe) { order_.push_back(probe); }
  std::size_t left() const { return order_.size() - taken_; }
  std::size_t size() const { return order_.size(); }

 private:
  std::vector<Next> order_;
  std::size_t taken_ = 0;
};

// One inference from its body's start, in ms: without what came before and without the wait.
struct ProbeTimes {
  double body_ms = 0;
  double total_ms = 0;
};

struct Probe {
  double offset_ms = 0;
  ProbeTimes first;
  ProbeTimes second;
};

struct SweepPoint {
  sim::OverlapPoint times;  // medians
  int probes = 0;
};

struct SweepFindings {
  std::vector<SweepPoint> points;  // by offset
  sim::Calibration fit;
  ProbeTimes alone;        // medians, of inferences that met no other
  double together_ms = 0;  // a body's time when two start at once, median
  // How many times as long two bodies take that run at once.
  double slowdown() const { return alone.body_ms > 0 ? together_ms / alone.body_ms : 0; }
  // Whether two at once get more done than one after the other.
  bool sharing_pays() const { return slowdown() > 0 && slowdown() < 1.9; }
};

// Error: too few offsets with a probe, none at 0, or times that no model fits. `alone`: inferences
// that ran by themselves.
Result<SweepFindings> Summarise(const std::vector<Probe>& probes,
                                const std::vector<ProbeTimes>& alone);

std::string ToText(const SweepFindings& findings);
// The fields of the JSON object that are about the sweep.
void AddTo(nlohmann::ordered_json* json, const SweepFindings& findings);

}  // namespace stagger::cli
