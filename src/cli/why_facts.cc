// Where it stands beside others: admission, leases, its place, its GPU.
#include <fmt/core.h>

#include <string>
#include <vector>

#include "cli/why_reader.h"

namespace stagger::cli {

namespace {

std::string Times(std::uint64_t count, const char* one, const char* many) {
  return Counted(static_cast<double>(count), one, many);
}

}  // namespace

Paragraph WhyReader::Admission() const {
  Paragraph said;
  if (answer_.admission == "off") {
    said.Say("Nothing is judged: staggerd runs with --admission off.");
    return said;
  }
  const std::string verdict = stream_.verdict.value_or("");
  if (verdict == "fits") {
    said.Say("When it was judged it fitted beside those before it.");
  } else if (verdict == "not seen enough") {
    said.Say("Not judged yet: too few of its bodies have been seen.");
  } else if (verdict == "no rate stated") {
    said.Say("Not judged: it states no rate.");
  } else if (!verdict.empty()) {
    said.Say("When it was judged it did not fit: " + verdict + ".");
  }
  if (!device_.admission) return said;
  const documents::Admission& judged = *device_.admission;
  const std::string load = Share(judged.utilisation_ratio);
  if (judged.admitted) {
    const auto& room = judged.headroom;
    said.Say(fmt::format(
        "Now all streams on {} fit: their bodies take {} of it{}.", device_.name, load,
        room ? fmt::format("; one more like {} would fit at {} fps", room->like, Plain(room->fps))
             : ""));
    return said;
  }
  said.Say(fmt::format("Now the streams on {} do not all fit ({} of it): {}.", device_.name, load,
                       judged.reason));
  if (judged.binding_stream) {
    said.Say(fmt::format("What binds is the deadline of {}, {} into a busy time.",
                         *judged.binding_stream, Time(judged.interval_ms.value_or(0))));
  }
  if (const auto& nearest = judged.nearest_fit) {
    said.Say(
        fmt::format("They would fit with {} at {} fps.", nearest->stream, Plain(nearest->fps)));
  }
  return said;
}

// The newest of that kind, in words; empty if none is remembered.
std::string WhyReader::Last(const char* kind) const {
  for (const documents::Incident& incident : one_.incidents) {
    if (incident.kind != kind) continue;
    return fmt::format(", the last {}, after {}", Ago(incident.ago_s), Time(incident.after_ms));
  }
  return "";
}

Paragraph WhyReader::Leases() const {
  Paragraph said;
  const std::uint64_t expired = stream_.counters.expired;
  if (expired == 0) return said;
  said.Say(fmt::format(
      "{} ended before the body did{}: others ran beside the rest of it. A turn lasts {} at most "
      "here, four times its bodies' 99th percentile or the floor.",
      Times(expired, "lease", "leases"), Last("lease ended"), Time(one_.lease_ms)));
  return said;
}

Paragraph WhyReader::WithoutTurn() const {
  Paragraph said;
  const core::StreamCounters& counters = stream_.counters;
  if (counters.exclusive > 0) {
    said.Say(fmt::format("{} of {} began at once: no other stream used the device.",
                         Times(counters.exclusive, "turn", "turns"), counters.granted));
  }
  if (const std::uint64_t warmup = counters.warmup; warmup > 0) {
    said.Say(fmt::format("{} {} let through to warm up.", Times(warmup, "inference", "inferences"),
                         warmup == 1 ? "was" : "were"));
  }
  if (counters.cancelled > 0) {
    said.Say(fmt::format("{} given up{} (the bound is {} now); the body ran uncontrolled.",
                         Times(counters.cancelled, "wait was", "waits were"),
                         Last("gave up waiting"), Time(one_.wait_bound_ms)));
  }
  if (counters.ungated > counters.cancelled) {
    said.Say(
        fmt::format("{} ran without asking: the policy was off, or the daemon was not "
                    "reached in time.",
                    Times(counters.ungated - counters.cancelled, "inference", "inferences")));
  }
  if (counters.claimed > 0) {
    said.Say(fmt::format("{} running when this daemon was started.",
                         Times(counters.claimed, "body was", "bodies were")));
  }
  return said;
}

Paragraph WhyReader::Bodies() const {
  Paragraph said;
  const documents::Profile& profile = stream_.profile;
  const documents::Phase& body = profile.body_ms;
  if (body.mean) {
    said.Say(fmt::format("Alone on the device a body takes {} (p99 {}), confidence {:.2f}.",
                         Time(*body.mean), Time(body.p99.value_or(0)), body.confidence));
  }
  if (profile.occupancy) {
    said.Say(fmt::format("It fills {} of it, as {} beside others tell.", Share(*profile.occupancy),
                         Times(profile.overlaps, "body", "bodies")));
  }
  if (device_.kind == "gpu") {
    said.Say("How sure its agent is of where bodies begin and end, 'stagger doctor' says.");
  }
  return said;
}

Paragraph WhyReader::Placement() const {
  Paragraph said;
  if (stream_.placement) {
    const documents::Place& place = stream_.placement->place;
    said.Say(fmt::format("The plan puts it on {}: {}{}.",
                         place.devices.empty() ? "no device" : Listed(place.devices), place.reason,
                         place.moves > 0
                             ? fmt::format("; it has moved {}", Times(place.moves, "time", "times"))
                             : ""));
    if (stream_.placement->at_next_start) {
      said.Say(fmt::format("It still runs on {}; it will be there from its next start on.",
                           stream_.device.value_or("-")));
    }
  }
  const documents::Names on = stream_.on.value_or(documents::Names());
  if (stream_.on) {
    said.Say(on.empty() ? "Its inferences run in the app itself, though they could be forwarded."
                        : fmt::format("Its inferences run in {}{}.", Listed(on), WaitThere()));
  }
  if (stream_.assigned_to) {
    const documents::Names& told = *stream_.assigned_to;
    const std::string why = stream_.assigned_why.value_or("");
    said.Say(
        fmt::format("They are to run in {}{}{}.", told.empty() ? "the app itself" : Listed(told),
                    why.empty() ? "" : ": " + why, told == on ? "" : "; it has not followed yet"));
  }
  if (stream_.serves) {
    const documents::Names& served = one_.served;
    said.Say(fmt::format("It is the executor at {}{}.", *stream_.serves,
                         served.empty() ? "; nobody's inferences run in it just now"
                                        : " and runs the inferences of " + Listed(served)));
  }
  return said;
}

std::string WhyReader::WaitThere() const {
  const documents::Names& asking = one_.on_streams;
  if (asking.empty()) return ", which asks for no turns: it has its part of a device to itself";
  return fmt::format("; what they wait for there, 'stagger why {}' says", asking.front());
}

Paragraph WhyReader::Gpu() const {
  Paragraph said;
  if (stream_.fault) {
    said.Say(
        fmt::format("Its GPU failed under it ({}): every call of it fails from now on, it "
                    "must be started again.",
                    *stream_.fault));
  }
  for (const documents::Fault& fault : one_.faults) {
    said.Say(fmt::format("A fault {} ago on {} broke it{}.", Time(fault.for_s * 1000), fault.device,
                         fault.culprit ? "; the culprit was " + *fault.culprit : ""));
  }
  if (device_.kind != "gpu") return said;
  if (device_.problem) said.Say(fmt::format("{}: {}.", device_.name, *device_.problem));
  const documents::Mps& mps = answer_.mps;
  if (mps.mode == "off") return said;
  said.Say(mps.state == "running"
               ? "MPS runs, so bodies of several processes can overlap on it."
               : fmt::format("MPS is {}{}: processes take the GPU in slices of time.", mps.state,
                             mps.reason ? " (" + *mps.reason + ")" : ""));
  return said;
}

}  // namespace stagger::cli
