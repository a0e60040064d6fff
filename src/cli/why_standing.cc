// Where it stands beside others: admission, leases, its place, its GPU.
#include <fmt/core.h>

#include <string>
#include <vector>

#include "cli/why_reader.h"

namespace stagger::cli {

using nlohmann::json;

namespace {

std::vector<std::string> Names(const json& object, const char* key) {
  std::vector<std::string> names;
  for (const json& name : ListOf(object, key)) {
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  return names;
}

}  // namespace

Paragraph WhyReader::Admission() const {
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
    said.Say(
        fmt::format("Now all streams on {} fit: their bodies take {} of it{}.", DeviceName(), load,
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
std::string WhyReader::Last(const char* kind) const {
  for (const json& incident : ListOf(one_, "incidents")) {
    if (Text(incident, "kind") != kind) continue;
    return fmt::format(", the last {}, after {}", Ago(incident), Time(Value(incident, "after_ms")));
  }
  return "";
}

Paragraph WhyReader::Leases() const {
  Paragraph said;
  const double expired = Value(stream_, "expired");
  if (expired == 0) return said;
  said.Say(fmt::format(
      "{} ended before the body did{}: others ran beside the rest of it. A turn lasts {} at most "
      "here, four times its bodies' 99th percentile or the floor.",
      Counted(expired, "lease", "leases"), Last("lease ended"), Time(Value(one_, "lease_ms"))));
  return said;
}

Paragraph WhyReader::WithoutTurn() const {
  Paragraph said;
  if (const double at_once = Value(stream_, "at_once"); at_once > 0) {
    said.Say(fmt::format("{} of {} began at once: no other stream used the device.",
                         Counted(at_once, "turn", "turns"), Plain(Value(stream_, "granted"))));
  }
  if (const double warmup = Value(stream_, "warmup"); warmup > 0) {
    said.Say(fmt::format("{} {} let through to warm up.",
                         Counted(warmup, "inference", "inferences"), warmup == 1 ? "was" : "were"));
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

Paragraph WhyReader::Bodies() const {
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

Paragraph WhyReader::Placement() const {
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
                         Has(stream_, "assigned_why") && !Text(stream_, "assigned_why").empty()
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

std::string WhyReader::WaitThere() const {
  const std::vector<std::string> asking = Names(one_, "on_streams");
  if (asking.empty()) return ", which asks for no turns: it has its part of a device to itself";
  return fmt::format("; what they wait for there, 'stagger why {}' says", asking.front());
}

Paragraph WhyReader::Gpu() const {
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

}  // namespace stagger::cli
