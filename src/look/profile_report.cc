#include "look/profile_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "console/table.h"
#include "core/sample_window.h"

namespace stagger::cli {
namespace {

using nlohmann::ordered_json;

constexpr int kTimelineWidth = 72;

PhaseProfile ProfileOf(const ProgramReport& program,
                       const std::vector<InferencePhases>& inferences) {
  core::SampleWindow pre;
  core::SampleWindow body;
  core::SampleWindow post;
  core::SampleWindow total;
  core::SampleWindow waited;
  PhaseProfile profile;
  profile.pid = program.pid;
  profile.command = program.command;
  for (const InferencePhases& one : inferences) {
    pre.Add(one.pre);
    body.Add(one.body);
    post.Add(one.post);
    total.Add(one.total());
    waited.Add(one.waited);
    profile.most_bodies = std::max(profile.most_bodies, one.bodies);
  }
  profile.inferences = inferences.size();
  profile.pre = core::EstimateOf(pre);
  profile.body = core::EstimateOf(body);
  profile.post = core::EstimateOf(post);
  profile.total = core::EstimateOf(total);
  profile.waited = core::EstimateOf(waited);
  return profile;
}

double Share(const core::PhaseEstimate& phase, const PhaseProfile& profile) {
  const double total = ToMs(profile.total.mean);
  return total > 0 ? ToMs(phase.mean) / total : 0;
}

ordered_json ToJson(const core::PhaseEstimate& phase) {
  return {{"mean", ToMs(phase.mean)}, {"p99", ToMs(phase.p99)}, {"confidence", phase.confidence}};
}

// A distance between marks that a person can read: 1, 2 or 5 times a power of ten.
double RoundStep(double least) {
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least) return factor * power;
  }
  return 10 * power;
}

std::string Repeat(const char* what, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += what;
  return text;
}

}  // namespace

std::vector<PhaseProfile> PhaseProfiles(const std::vector<ProgramReport>& programs) {
  std::vector<PhaseProfile> profiles;
  for (const ProgramReport& program : programs) {
    if (program.cuda && !program.cuda->inferences.empty()) {
      PhaseProfile profile = ProfileOf(program, program.cuda->inferences);
      profile.framework = "cuda";
      profile.state = program.cuda->state;
      profile.reason = program.cuda->reason;
      profile.confidence = program.cuda->confidence;
      profiles.push_back(std::move(profile));
    }
    if (program.onnx && !program.onnx->inferences.empty()) {
      PhaseProfile profile = ProfileOf(program, program.onnx->inferences);
      profile.framework = "onnxruntime";
      profile.whole_call = true;
      profiles.push_back(std::move(profile));
    }
  }
  return profiles;
}

std::string Timeline(double pre_ms, double body_ms, double post_ms, int width) {
  const double total = pre_ms + body_ms + post_ms;
  if (!(total > 0) || width < 8) return "";
  const auto column = [&](double ms) { return static_cast<int>(std::lround(ms / total * width)); };
  const int body_from = column(pre_ms);
  const int post_from = column(pre_ms + body_ms);
  std::string line =
      Repeat("▒", body_from) + Repeat("█", post_from - body_from) + Repeat("░", width - post_from);
  // Marks about every twelve columns, none where the end's would not fit.
  const double step = RoundStep(total / (width / 12.0));
  const std::string end = fmt::format("{:.1f} ms", total);
  std::string scale;
  for (double at = 0; at < total; at += step) {
    const std::string mark = fmt::format("{:g}", at);
    const auto where = static_cast<std::size_t>(column(at));
    if (where + mark.size() + 1 + end.size() > static_cast<std::size_t>(width)) break;
    if (where < scale.size() + (scale.empty() ? 0 : 1)) continue;
    scale += std::string(where - scale.size(), ' ') + mark;
  }
  const std::size_t end_at =
      static_cast<std::size_t>(width) - std::min<std::size_t>(end.size(), width);
  if (scale.size() < end_at) scale += std::string(end_at - scale.size(), ' ');
  return line + "\n" + scale + end + "\n";
}

std::string ToText(const PhaseProfile& profile) {
  std::string text = fmt::format(
      "{} (pid {}): {}, {} inferences after warm-up\n", profile.command, profile.pid,
      profile.framework == "cuda" ? "CUDA" : "ONNX Runtime on the CPU", profile.inferences);
  Table table({"phase", "mean ms", "p99 ms", "share", "confidence"});
  const auto row = [&](const char* name, const core::PhaseEstimate& phase, bool share) {
    table.AddRow({name, fmt::format("{:.2f}", ToMs(phase.mean)),
                  fmt::format("{:.2f}", ToMs(phase.p99)),
                  share ? fmt::format("{:.1f} %", 100 * Share(phase, profile)) : "-",
                  fmt::format("{:.2f}", phase.confidence)});
  };
  row("pre", profile.pre, true);
  row("body", profile.body, true);
  row("post", profile.post, true);
  row("inference", profile.total, false);
  row("waited", profile.waited, false);
  text += table.ToString();
  if (profile.whole_call) {
    text +=
        "the whole call is the body: what precedes and follows the network in it is not told "
        "apart\n";
  } else {
    text += fmt::format("bodies: {}, confidence {:.2f}: {}\n",
                        profile.state.empty() ? "not judged" : profile.state, profile.confidence,
                        profile.reason);
  }
  if (profile.most_bodies > 1) {
    text += fmt::format(
        "up to {} heavy bursts in one inference: body is the heaviest, the others "
        "are in pre and post\n",
        profile.most_bodies);
  }
  return text + Timeline(ToMs(profile.pre.mean), ToMs(profile.body.mean), ToMs(profile.post.mean),
                         kTimelineWidth);
}

ordered_json ToJson(const PhaseProfile& profile) {
  ordered_json json;
  json["pid"] = profile.pid;
  json["command"] = profile.command;
  json["framework"] = profile.framework;
  json["inferences"] = profile.inferences;
  json["pre_ms"] = ToJson(profile.pre);
  json["body_ms"] = ToJson(profile.body);
  json["post_ms"] = ToJson(profile.post);
  json["inference_ms"] = ToJson(profile.total);
  json["wait_ms"] = ToJson(profile.waited);
  json["pre_ratio"] = Share(profile.pre, profile);
  json["body_ratio"] = Share(profile.body, profile);
  json["post_ratio"] = Share(profile.post, profile);
  json["whole_call"] = profile.whole_call;
  json["bodies_per_inference"] = profile.most_bodies;
  if (profile.whole_call) {
    json["detector"] = nullptr;
  } else {
    json["detector"] = {
        {"state", profile.state}, {"reason", profile.reason}, {"confidence", profile.confidence}};
  }
  return json;
}

}  // namespace stagger::cli
