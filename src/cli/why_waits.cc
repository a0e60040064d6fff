// What it waits for.
#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/why_reader.h"
#include "console/table.h"
#include "core/policies.h"

namespace stagger::cli {

using nlohmann::json;

namespace {

constexpr double kHardlyAny = 0.5;  // ms of waiting on average that are not worth a word
constexpr std::size_t kNamed = 4;   // of those it waits behind
constexpr std::size_t kShownWaits = 5;

}  // namespace

std::string WhyReader::PolicyText() const {
  const std::string name = Text(policy_, "name");
  const core::Policy* policy = core::FindPolicy(name);
  if (policy == nullptr) return fmt::format("The policy is {}.", name);
  if (!policy->gates) return fmt::format("The policy is {}: {}.", name, policy->order);
  if (policy->spaced) {
    return fmt::format("Policy {}: bodies start {} apart.", name,
                       Time(Value(policy_, "spacing_ms")));
  }
  const double k = Value(device_, "concurrency", 1);
  const bool found = Text(policy_, "concurrency") == "auto";
  if (Has(policy_, "demand_limit")) {
    return fmt::format(
        "Policy {}: bodies run together while they fill no more than {} of {}, and {}.", name,
        Plain(Value(policy_, "demand_limit")), DeviceName(), policy->order);
  }
  return fmt::format("Policy {}: {:.0f} {} at once on {}{}, and {}.", name, k,
                     k == 1 ? "body" : "bodies", DeviceName(), found ? " (found by itself)" : "",
                     policy->order);
}

// Where it stands just now.
std::string WhyReader::Now() const {
  const json waiting = ListOf(device_, "waiting");
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (Text(waiting[i], "stream") != Text(stream_, "name")) continue;
    std::vector<std::string> running;
    for (const json& turn : ListOf(device_, "running")) {
      running.push_back(
          fmt::format("{} (for {})", Text(turn, "stream"), Time(Value(turn, "for_ms"))));
    }
    return fmt::format("Just now it has waited {} and is number {} of {}{}.",
                       Time(Value(waiting[i], "for_ms")), i + 1, waiting.size(),
                       running.empty() ? "" : "; there run " + Listed(running));
  }
  if (Text(stream_, "state") == "held") {
    return "Just now a call of it is held back until the next slot of its lowered rate.";
  }
  return "";
}

Paragraph WhyReader::Waiting() const {
  Paragraph said;
  if (!Has(one_, "device")) {
    said.Say("It has not asked for a turn yet.");
    return said;
  }
  said.Say(PolicyText());
  if (const std::string now = Now(); !now.empty()) said.Say(now);
  const json wait = Part(stream_, "wait_ms");
  if (!Has(wait, "mean")) return said;
  said.Say(fmt::format("Before a body of {} it waits {} on average, {} at the 99th percentile.",
                       Time(Value(Part(stream_, "body_ms"), "mean")), Time(Value(wait, "mean")),
                       Time(Value(wait, "p99"))));
  return said;
}

Paragraph WhyReader::Turns() const {
  Paragraph said;
  const double count = Value(waits_, "accounted");
  if (count == 0) return said;
  const double waited = Value(waits_, "time_ms");
  const std::string last = Counted(count, "turn", "turns");
  if (waited < kHardlyAny * count) {
    said.Say(fmt::format("Its last {} came at once: nobody was in the way.", last));
    return said;
  }
  const double held = Value(waits_, "held_ms");
  const double queued = Value(waits_, "queued_ms");
  std::vector<std::string> parts;
  double others = 0;
  for (const json& behind : ListOf(waits_, "behind")) {
    const double time = Value(behind, "time_ms");
    if (parts.size() < kNamed) {
      parts.push_back(
          fmt::format("{} behind bodies of {}", Share(time / waited), Text(behind, "stream")));
    } else {
      others += time;
    }
  }
  if (others > 0) parts.push_back(Share(others / waited) + " behind those of others");
  if (const double gone = Value(waits_, "behind_gone_ms"); gone > 0) {
    parts.push_back(Share(gone / waited) + " behind those of streams that have left");
  }
  if (held > 0) parts.push_back(Share(held / waited) + " held back by its lowered rate");
  if (const double nobody = Value(waits_, "nobody_ms"); nobody >= 0.01 * waited && queued > 0) {
    const core::Policy* policy = core::FindPolicy(Text(policy_, "name"));
    parts.push_back(Share(nobody / waited) + (policy != nullptr && policy->spaced
                                                  ? " for the spacing"
                                                  : " while nobody's body ran"));
  }
  said.Say(fmt::format("Its last {} waited {} in all: {}.", last, Time(waited), Listed(parts)));
  if (const double overtaken = Value(waits_, "overtaken"); overtaken > 0) {
    said.Say(
        fmt::format("In {:.0f} of them one that had asked later went first, since it was "
                    "due first.",
                    overtaken));
  }
  std::vector<std::string> reasons;
  for (const json& reason : ListOf(waits_, "reasons")) {
    reasons.push_back(fmt::format("{} x {}", Text(reason, "count"), Text(reason, "reason")));
  }
  if (!reasons.empty()) said.Say("What let them run: " + Listed(reasons) + ".");
  const json longest = Part(waits_, "longest");
  said.Say(
      fmt::format("The longest wait was {}, {}.", Time(Value(longest, "wait_ms")), Ago(longest)));
  return said;
}

std::string WhyReader::LastWaits() const {
  const json recent = ListOf(waits_, "recent");
  if (recent.empty() || Value(waits_, "time_ms") < kHardlyAny * Value(waits_, "accounted")) {
    return "";
  }
  Table table({"AGO s", "WAITED ms", "HELD ms", "LET RUN BECAUSE"});
  for (std::size_t i = 0; i < std::min(recent.size(), kShownWaits); ++i) {
    table.AddRow({Number(recent[i], "ago_s", 2), Number(recent[i], "wait_ms", 1),
                  Number(recent[i], "held_ms", 1), Text(recent[i], "reason")});
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
