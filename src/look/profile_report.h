// The phases of an app's inferences, as a table with a small timeline, and as JSON. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/profile.h"
#include "look/program_report.h"

namespace stagger::cli {

// What one program inferred through one framework. Figures are of its newest 256 inferences, as in
// `stagger status`.
struct PhaseProfile {
  pid_t pid = 0;
  std::string command;
  std::string framework;    // "cuda" or "onnxruntime"
  bool whole_call = false;  // the whole call is the body: pre and post cannot be told from it
  std::uint64_t inferences = 0;
  core::PhaseEstimate pre;
  core::PhaseEstimate body;
  core::PhaseEstimate post;
  core::PhaseEstimate total;   // of the three
  core::PhaseEstimate waited;  // for the turn; in none of them
  int most_bodies = 1;         // heavy bursts in one inference; the phases go by the heaviest
  std::string state;           // what the detector of bodies says; empty for ONNX Runtime
  std::string reason;
  double confidence = 0;
};

// One per program and framework that inferred, oldest program first.
std::vector<PhaseProfile> PhaseProfiles(const std::vector<ProgramReport>& programs);

// Two lines, each ending in a newline: pre, body and post to scale, `width` columns in all, and a
// scale in ms below. Empty if all are zero.
std::string Timeline(double pre_ms, double body_ms, double post_ms, int width);

std::string ToText(const PhaseProfile& profile);
nlohmann::ordered_json ToJson(const PhaseProfile& profile);

}  // namespace stagger::cli
