#include "cli/why_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "cli/json_fields.h"
#include "cli/sentences.h"
#include "cli/table.h"

namespace stagger::cli {
namespace {

using nlohmann::json;

constexpr double kShort = 0.95;     // of a rate: below this it is not kept
constexpr double kSettledS = 5;     // the window of the rate: before that it says little
constexpr double kHardlyAny = 0.5;  // ms of waiting on average that are not worth a word
constexpr std::size_t kNamed = 4;   // of those it waits behind
constexpr std::size_t kShownWaits = 5;

double Value(const json& object, const char* key, double otherwise = 0) {
  const json* value = Find(object, key);
  return value != nullptr && value->is_number() ? value->get<double>() : otherwise;
}
bool Has(const json& object, const char* key) { return Find(object, key) != nullptr; }
json Part(const json& object, const char* key) {
  const json* part = Find(object, key);
  return part != nullptr ? *part : json::object();
}

std::string Fps(double fps) { return fmt::format("{:.{}f}", fps, fps < 100 ? 1 : 0); }
std::string Ago(const json& object) { return Time(Value(object, "ago_s") * 1000) + " ago"; }

class Reader {
 public:
  Reader(const json& answer, const json& one)
      : policy_(Part(answer, "policy")),
        mps_(Part(answer, "mps")),
        admission_mode_(Text(answer, "admission")),
        stream_(Part(one, "stream")),
        device_(Part(one, "device")),
        rate_(Part(one, "rate")),
        waits_(Part(one, "waits")),
        one_(one) {}

  std::string Read() const {
    return Head() + Rate().Under("rate") + Lowered().Under("") + Waiting().Under("waiting") +
           Turns().Under("") + LastWaits() + Admission().Under("admission") +
           Leases().Under("leases") + WithoutTurn().Under("no turn") + Bodies().Under("bodies") +
           Placement().Under("placement") + Gpu().Under("gpu");
  }

 private:
  std::string DeviceName() const { return Text(device_, "name"); }
  double Attached() const { return Value(stream_, "attached_s"); }
  bool IsLowered() const {
    return Has(stream_, "fps_required") &&
           Value(stream_, "fps_assigned") < Value(stream_, "fps_required");
  }

  std::string Head() const {
    std::string head = fmt::format("{}: pid {}, {}", Text(stream_, "name"), Text(stream_, "pid"),
                                   Text(stream_, "command"));
    head += fmt::format("\nhere for {}, {}", Time(Attached() * 1000), Text(stream_, "state"));
    if (Has(stream_, "device")) head += " on " + Text(stream_, "device");
    return head + "\n";
  }

  Paragraph Rate() const {
    Paragraph said;
    const double fps = Value(stream_, "fps");
    if (!Has(stream_, "fps_required")) {
      said.Say(
          fmt::format("It states no rate (--fps), so nothing says whether the {} fps that it "
                      "gets are enough, and its rate is never lowered.",
                      Fps(fps)));
    } else {
      said.Say(fmt::format("It needs {} fps and gets {}.", Plain(Value(stream_, "fps_required")),
                           Fps(fps)));
    }
    if (Has(stream_, "deadline_ms")) {
      const double late = Value(stream_, "deadline_miss_ratio");
      said.Say(late > 0 ? fmt::format("{:.1f} % of its inferences took longer than the {} they may "
                                      "take.",
                                      late * 100, Time(Value(stream_, "deadline_ms")))
                        : fmt::format("Each took no longer than the {} it may take.",
                                      Time(Value(stream_, "deadline_ms"))));
    }
    if (const double missed = Value(stream_, "missed"); missed > 0) {
      said.Say(fmt::format("Since it joined, {} that its rate asks for {} not been done.",
                           Counted(missed, "inference", "inferences"),
                           missed == 1 ? "has" : "have"));
    }
    return said;
  }

  Paragraph Lowered() const {
    Paragraph said;
    if (!Has(stream_, "fps_required")) return said;
    const double required = Value(stream_, "fps_required");
    const double assigned = Value(stream_, "fps_assigned");
    const std::string load = fmt::format("streams with a stated rate ask for {} of what {} can do",
                                         Share(Value(device_, "load_ratio")), DeviceName());
    const double min_fps = Value(rate_, "min_fps");
    const std::string least =
        min_fps > 0 ? fmt::format(" It never goes below its min_fps of {}.", Plain(min_fps)) : "";
    if (IsLowered()) {
      const std::string since =
          Has(rate_, "lowered_s")
              ? fmt::format(", for {} now", Time(Value(rate_, "lowered_s") * 1000))
              : "";
      const json place = Part(stream_, "placement");
      if (Has(rate_, "cap_fps") && Has(place, "lowered_fps")) {
        said.Say(
            fmt::format("Its rate is lowered to {} of {} fps, since its device has more to do than "
                        "was planned and nothing else has room.{}",
                        Fps(assigned), Plain(required), least));
      } else if (Has(rate_, "cap_fps")) {
        said.Say(
            fmt::format("Strict admission holds it at {} fps{}: it came when there was room "
                        "for no more beside those before it.{}",
                        Fps(assigned), since, least));
      } else {
        said.Say(fmt::format("Its rate is lowered to {} of {} fps{}, because {}.{}{}",
                             Fps(assigned), Plain(required), since, load, Weights(), least));
      }
      said.Say(Excess());
      return said;
    }
    const json* overloaded = Find(device_, "overloaded");
    if (overloaded != nullptr && *overloaded == json(true)) {
      said.Say(fmt::format("{} is overloaded ({}), but this stream's rate is kept.{}", DeviceName(),
                           load, Weights()));
    } else if (Has(device_, "load_ratio")) {
      said.Say(fmt::format("Its rate is not lowered: {}.", load));
    }
    if (Attached() > kSettledS && Value(stream_, "fps") < kShort * assigned) said.Say(WhyShort());
    return said;
  }

  // What becomes of a call that comes before its next slot.
  std::string Excess() const {
    const double skipped = Value(stream_, "skipped");
    if (Text(stream_, "excess") == "pass") return "A call that comes before its next slot passes.";
    if (Text(stream_, "excess") == "reuse") {
      return fmt::format(
          "A call that comes before its next slot gets the outputs of the one before; {} so.",
          Counted(skipped, "was answered", "were answered"));
    }
    return "A call that comes before its next slot is held back in the app.";
  }

  // The rate may be had, and still is not.
  std::string WhyShort() const {
    const double between = 1000 / Value(stream_, "fps_required", 1);
    const double call = Value(Part(stream_, "inference_ms"), "mean");
    const double wait = Value(Part(stream_, "wait_ms"), "mean");
    if (call < between) {
      return fmt::format(
          "It could have more: an inference takes {} of the {} between two frames, so the app "
          "itself asks less often.",
          Time(call), Time(between));
    }
    return fmt::format(
        "An inference takes {}, {} of it waiting: that alone is longer than the {} between two "
        "frames.",
        Time(call), Time(wait), Time(between));
  }

  // Who weighs more gives up less: how it compares.
  std::string Weights() const {
    std::vector<double> others;
    for (const json& rival : ListOf(one_, "rivals")) {
      if (Has(rival, "fps_required")) others.push_back(Value(rival, "weight", 1));
    }
    const double own = Value(stream_, "weight", 1);
    if (others.empty()) return fmt::format(" It weighs {}.", Plain(own));
    const auto [least, most] = std::ranges::minmax(others);
    return fmt::format(
        " It weighs {}, the others {}: who weighs more gives up less.", Plain(own),
        least == most ? Plain(least) : fmt::format("{} to {}", Plain(least), Plain(most)));
  }

  std::string PolicyText() const {
    const std::string name = Text(policy_, "name");
    if (name == "off") return "The policy is off: nothing waits.";
    if (name == "spaced") {
      return fmt::format("Policy spaced: bodies start {} apart.",
                         Time(Value(policy_, "spacing_ms")));
    }
    std::string what = "whoever asked first goes first";
    if (name == "edf") what = "whoever is due first goes first";
    const char* of = name == "serial" ? "inference" : "body";
    const char* ofs = name == "serial" ? "whole inferences" : "bodies";
    const double k = Value(device_, "concurrency", 1);
    const bool found = Text(policy_, "concurrency") == "auto";
    if (Has(policy_, "demand_limit")) {
      return fmt::format(
          "Policy {}: bodies run together while they fill no more than {} of {}, and {}.", name,
          Plain(Value(policy_, "demand_limit")), DeviceName(), what);
    }
    return fmt::format("Policy {}: {:.0f} {} at once on {}{}, and {}.", name, k, k == 1 ? of : ofs,
                       DeviceName(), found ? " (found by itself)" : "", what);
  }

  // Where it stands just now.
  std::string Now() const {
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

  Paragraph Waiting() const {
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

  Paragraph Turns() const {
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
      parts.push_back(Share(nobody / waited) + (Text(policy_, "name") == "spaced"
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

  std::string LastWaits() const {
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

  Paragraph Admission() const {
    Paragraph said;
    if (admission_mode_ == "off") {
      said.Say("Nothing is judged: staggerd runs with --admission off.");
      return said;
    }
    const std::string verdict = Text(stream_, "verdict");
    if (verdict == "fits") {
      said.Say("When it was judged it fitted beside those before it.");
    } else if (verdict == "not seen enough") {
      said.Say("Not judged yet: too few of its bodies have been seen.");
    } else if (verdict == "no rate stated") {
      said.Say("Not judged: it states no rate.");
    } else if (verdict != "-") {
      said.Say("When it was judged it did not fit: " + verdict + ".");
    }
    const json judged = Part(device_, "admission");
    if (!Has(judged, "admitted")) return said;
    const std::string load = Share(Value(judged, "utilisation_ratio"));
    if (judged["admitted"] == json(true)) {
      const json room = Part(judged, "headroom");
      said.Say(fmt::format(
          "Now all streams on {} fit: their bodies take {} of it{}.", DeviceName(), load,
          Has(room, "fps") ? fmt::format("; one more like {} would fit at {} fps",
                                         Text(room, "like"), Plain(Value(room, "fps")))
                           : ""));
      return said;
    }
    said.Say(fmt::format("Now the streams on {} do not all fit ({} of it): {}.", DeviceName(), load,
                         Text(judged, "reason")));
    if (Has(judged, "binding_stream")) {
      said.Say(fmt::format("What binds is the deadline of {}, {} into a busy time.",
                           Text(judged, "binding_stream"), Time(Value(judged, "interval_ms"))));
    }
    if (const json nearest = Part(judged, "nearest_fit"); Has(nearest, "fps")) {
      said.Say(fmt::format("They would fit with {} at {} fps.", Text(nearest, "stream"),
                           Plain(Value(nearest, "fps"))));
    }
    return said;
  }

  // The newest of that kind, in words; empty if none is remembered.
  std::string Last(const char* kind) const {
    for (const json& incident : ListOf(one_, "incidents")) {
      if (Text(incident, "kind") != kind) continue;
      return fmt::format(", the last {}, after {}", Ago(incident),
                         Time(Value(incident, "after_ms")));
    }
    return "";
  }

  Paragraph Leases() const {
    Paragraph said;
    const double expired = Value(stream_, "expired");
    if (expired == 0) return said;
    said.Say(fmt::format(
        "{} ended before the body did{}: others ran beside the rest of it. A turn lasts {} at most "
        "here, four times its bodies' 99th percentile or the floor.",
        Counted(expired, "lease", "leases"), Last("lease ended"), Time(Value(one_, "lease_ms"))));
    return said;
  }

  Paragraph WithoutTurn() const {
    Paragraph said;
    if (const double at_once = Value(stream_, "at_once"); at_once > 0) {
      said.Say(fmt::format("{} of {} began at once: no other stream used the device.",
                           Counted(at_once, "turn", "turns"), Plain(Value(stream_, "granted"))));
    }
    if (const double warmup = Value(stream_, "warmup"); warmup > 0) {
      said.Say(fmt::format("{} {} let through to warm up.",
                           Counted(warmup, "inference", "inferences"),
                           warmup == 1 ? "was" : "were"));
    }
    if (const double gave_up = Value(stream_, "cancelled"); gave_up > 0) {
      said.Say(fmt::format("{} given up{} (the bound is {} now); the body ran uncontrolled.",
                           Counted(gave_up, "wait was", "waits were"), Last("gave up waiting"),
                           Time(Value(one_, "wait_bound_ms"))));
    }
    const double free = Value(stream_, "ungated") - Value(stream_, "cancelled");
    if (free > 0) {
      said.Say(
          fmt::format("{} ran without asking: the policy was off, or the daemon was not "
                      "reached in time.",
                      Counted(free, "inference", "inferences")));
    }
    if (const double claimed = Value(stream_, "claimed"); claimed > 0) {
      said.Say(fmt::format("{} running when this daemon was started.",
                           Counted(claimed, "body was", "bodies were")));
    }
    return said;
  }

  Paragraph Bodies() const {
    Paragraph said;
    const json profile = Part(stream_, "profile");
    const json body = Part(profile, "body_ms");
    if (Has(body, "mean")) {
      said.Say(fmt::format("Alone on the device a body takes {} (p99 {}), confidence {:.2f}.",
                           Time(Value(body, "mean")), Time(Value(body, "p99")),
                           Value(body, "confidence")));
    }
    if (Has(profile, "demand")) {
      said.Say(fmt::format("It fills {} of it, as {} beside others tell.",
                           Share(Value(profile, "demand")),
                           Counted(Value(profile, "overlaps"), "body", "bodies")));
    }
    if (Text(device_, "kind") == "gpu") {
      said.Say("How sure its agent is of where bodies begin and end, 'stagger doctor' says.");
    }
    return said;
  }

  Paragraph Placement() const {
    Paragraph said;
    const json place = Part(stream_, "placement");
    if (Has(place, "devices")) {
      const std::vector<std::string> devices = Names(place, "devices");
      const double moves = Value(place, "moves");
      said.Say(fmt::format(
          "The plan puts it on {}{}{}.", devices.empty() ? "no device" : Listed(devices),
          Has(place, "reason") ? ": " + Text(place, "reason") : "",
          moves > 0 ? fmt::format("; it has moved {}", Counted(moves, "time", "times")) : ""));
      if (place.value("at_next_start", false)) {
        said.Say(fmt::format("It still runs on {}; it will be there from its next start on.",
                             Text(stream_, "device")));
      }
    }
    const std::vector<std::string> on = Names(stream_, "on");
    const std::vector<std::string> told = Names(stream_, "assigned_to");
    if (Has(stream_, "on")) {
      said.Say(on.empty() ? "Its inferences run in the app itself, though they could be forwarded."
                          : fmt::format("Its inferences run in {}{}.", Listed(on), WaitThere()));
    }
    if (Has(stream_, "assigned_to")) {
      said.Say(fmt::format("They are to run in {}{}{}.",
                           told.empty() ? "the app itself" : Listed(told),
                           Has(stream_, "assigned_why") && Text(stream_, "assigned_why") != ""
                               ? ": " + Text(stream_, "assigned_why")
                               : "",
                           told == on ? "" : "; it has not followed yet"));
    }
    if (Has(stream_, "serves")) {
      const std::vector<std::string> served = Names(one_, "served");
      said.Say(fmt::format("It is the executor at {}{}.", Text(stream_, "serves"),
                           served.empty() ? "; nobody's inferences run in it just now"
                                          : " and runs the inferences of " + Listed(served)));
    }
    return said;
  }

  std::string WaitThere() const {
    const std::vector<std::string> asking = Names(one_, "on_streams");
    if (asking.empty()) return ", which asks for no turns: it has its part of a device to itself";
    return fmt::format("; what they wait for there, 'stagger why {}' says", asking.front());
  }

  static std::vector<std::string> Names(const json& object, const char* key) {
    std::vector<std::string> names;
    for (const json& name : ListOf(object, key)) {
      if (name.is_string()) names.push_back(name.get<std::string>());
    }
    return names;
  }

  Paragraph Gpu() const {
    Paragraph said;
    if (Has(stream_, "fault")) {
      said.Say(
          fmt::format("Its GPU failed under it ({}): every call of it fails from now on, it "
                      "must be started again.",
                      Text(stream_, "fault")));
    }
    for (const json& fault : ListOf(one_, "faults")) {
      said.Say(
          fmt::format("A fault {} ago on {} broke it{}.", Time(Value(fault, "for_s") * 1000),
                      Text(fault, "device"),
                      Has(fault, "culprit") ? "; the culprit was " + Text(fault, "culprit") : ""));
    }
    if (Text(device_, "kind") != "gpu") return said;
    if (Has(device_, "problem")) {
      said.Say(fmt::format("{}: {}.", DeviceName(), Text(device_, "problem")));
    }
    if (Text(mps_, "mode") == "off") return said;
    said.Say(Text(mps_, "state") == "running"
                 ? "MPS runs, so bodies of several processes can overlap on it."
                 : fmt::format("MPS is {}{}: processes take the GPU in slices of time.",
                               Text(mps_, "state"),
                               Has(mps_, "reason") ? " (" + Text(mps_, "reason") + ")" : ""));
    return said;
  }

  json policy_, mps_;
  std::string admission_mode_;
  json stream_, device_, rate_, waits_;
  const json& one_;
};

}  // namespace

std::string WhyText(const json& answer) {
  std::string text;
  for (const json& one : ListOf(answer, "streams")) {
    text += (text.empty() ? "" : "\n") + Reader(answer, one).Read();
  }
  return text;
}

}  // namespace stagger::cli
