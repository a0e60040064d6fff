// What it waits for.
#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/why_reader.h"
#include "console/table.h"
#include "core/policies.h"

namespace stagger::cli {

namespace {

constexpr double kHardlyAny = 0.5;  // ms of waiting on average that are not worth a word
constexpr std::size_t kNamed = 4;   // of those it waits behind
constexpr std::size_t kShownWaits = 5;

}  // namespace

std::string WhyReader::PolicyText() const {
  const documents::Policy& in_force = answer_.policy;
  const std::string& name = in_force.name;
  const core::Policy* policy = core::FindPolicy(name);
  if (policy == nullptr) return fmt::format("The policy is {}.", name);
  if (!policy->gates) return fmt::format("The policy is {}: {}.", name, policy->order);
  if (policy->spaced) {
    return fmt::format("Policy {}: bodies start {} apart.", name, Time(in_force.spacing_ms));
  }
  const int k = device_.concurrency;
  const bool found = in_force.concurrency.by_itself;
  if (in_force.demand_limit) {
    return fmt::format(
        "Policy {}: bodies run together while they fill no more than {} of {}, and {}.", name,
        Plain(*in_force.demand_limit), device_.name, policy->order);
  }
  return fmt::format("Policy {}: {} {} at once on {}{}, and {}.", name, k,
                     k == 1 ? "body" : "bodies", device_.name, found ? " (found by itself)" : "",
                     policy->order);
}

// Where it stands just now.
std::string WhyReader::Now() const {
  const std::vector<documents::Waiting>& waiting = device_.waiting;
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (waiting[i].stream != stream_.name) continue;
    std::vector<std::string> running;
    for (const documents::Running& turn : device_.running) {
      running.push_back(fmt::format("{} (for {})", turn.stream.value_or("-"), Time(turn.for_ms)));
    }
    return fmt::format("Just now it has waited {} and is number {} of {}{}.",
                       Time(waiting[i].for_ms), i + 1, waiting.size(),
                       running.empty() ? "" : "; there run " + Listed(running));
  }
  if (stream_.state == "deferred") {
    return "Just now a call of it is held back until the next slot of its lowered rate.";
  }
  return "";
}

Paragraph WhyReader::Waiting() const {
  Paragraph said;
  if (!one_.device) {
    said.Say("It has not asked for a turn yet.");
    return said;
  }
  said.Say(PolicyText());
  if (const std::string now = Now(); !now.empty()) said.Say(now);
  const documents::Summary& wait = stream_.wait_ms;
  if (!wait.mean) return said;
  said.Say(fmt::format("Before a body of {} it waits {} on average, {} at the 99th percentile.",
                       Time(stream_.body_ms.mean.value_or(0)), Time(*wait.mean),
                       Time(wait.p99.value_or(0))));
  return said;
}

Paragraph WhyReader::Turns() const {
  Paragraph said;
  const documents::Waits& waits = one_.waits;
  const auto count = static_cast<double>(waits.accounted);
  if (count == 0) return said;
  const double waited = waits.time_ms;
  const std::string last = Counted(count, "turn", "turns");
  if (waited < kHardlyAny * count) {
    said.Say(fmt::format("Its last {} came at once: nobody was in the way.", last));
    return said;
  }
  std::vector<std::string> parts;
  double others = 0;
  for (const documents::Behind& behind : waits.behind) {
    const double time = behind.time_ms;
    if (parts.size() < kNamed) {
      parts.push_back(fmt::format("{} behind bodies of {}", Share(time / waited), behind.stream));
    } else {
      others += time;
    }
  }
  if (others > 0) parts.push_back(Share(others / waited) + " behind those of others");
  if (const double gone = waits.behind_gone_ms; gone > 0) {
    parts.push_back(Share(gone / waited) + " behind those of streams that have left");
  }
  if (waits.deferred_ms > 0) {
    parts.push_back(Share(waits.deferred_ms / waited) + " held back by its lowered rate");
  }
  if (const double nobody = waits.nobody_ms; nobody >= 0.01 * waited && waits.queued_ms > 0) {
    const core::Policy* policy = core::FindPolicy(answer_.policy.name);
    parts.push_back(Share(nobody / waited) + (policy != nullptr && policy->spaced
                                                  ? " for the spacing"
                                                  : " while nobody's body ran"));
  }
  said.Say(fmt::format("Its last {} waited {} in all: {}.", last, Time(waited), Listed(parts)));
  if (waits.overtaken > 0) {
    said.Say(
        fmt::format("In {} of them one that had asked later went first, since it was "
                    "due first.",
                    waits.overtaken));
  }
  std::vector<std::string> reasons;
  for (const documents::ReasonCount& reason : waits.reasons) {
    reasons.push_back(fmt::format("{} x {}", reason.count, reason.reason));
  }
  if (!reasons.empty()) said.Say("What let them run: " + Listed(reasons) + ".");
  if (waits.longest) {
    said.Say(fmt::format("The longest wait was {}, {}.", Time(waits.longest->wait_ms),
                         Ago(waits.longest->ago_s)));
  }
  return said;
}

std::string WhyReader::LastWaits() const {
  const documents::Waits& waits = one_.waits;
  const std::vector<documents::Wait>& recent = waits.recent;
  if (recent.empty() || waits.time_ms < kHardlyAny * static_cast<double>(waits.accounted)) {
    return "";
  }
  Table table({"AGO s", "WAITED ms", "DEFERRED ms", "LET RUN BECAUSE"});
  for (std::size_t i = 0; i < std::min(recent.size(), kShownWaits); ++i) {
    table.AddRow({fmt::format("{:.2f}", recent[i].ago_s), fmt::format("{:.1f}", recent[i].wait_ms),
                  fmt::format("{:.1f}", recent[i].deferred_ms), recent[i].reason});
  }
  std::string text = table.ToString();
  std::string lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines += std::string(Paragraph::kLabel, ' ') + text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return lines;
}

}  // namespace stagger::cli
