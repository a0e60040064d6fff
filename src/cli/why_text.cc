// What is said first: which stream it is, its rate, and why it has no other.
#include "cli/why_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "cli/why_reader.h"

namespace stagger::cli {

using nlohmann::json;

namespace {

constexpr double kShort = 0.95;  // of a rate: below this it is not kept
constexpr double kSettledS = 5;  // the window of the rate: before that it says little

std::string Fps(double fps) { return fmt::format("{:.{}f}", fps, fps < 100 ? 1 : 0); }

}  // namespace

WhyReader::WhyReader(const json& answer, const json& one)
    : policy_(Part(answer, "policy")),
      mps_(Part(answer, "mps")),
      admission_mode_(Text(answer, "admission")),
      stream_(Part(one, "stream")),
      device_(Part(one, "device")),
      rate_(Part(one, "rate")),
      waits_(Part(one, "waits")),
      one_(one) {}

std::string WhyReader::Read() const {
  return Head() + Rate().Under("rate") + Lowered().Under("") + Waiting().Under("waiting") +
         Turns().Under("") + LastWaits() + Admission().Under("admission") +
         Leases().Under("leases") + WithoutTurn().Under("no turn") + Bodies().Under("bodies") +
         Placement().Under("placement") + Gpu().Under("gpu");
}

std::string WhyReader::Head() const {
  std::string head = fmt::format("{}: pid {}, {}", Text(stream_, "name"), Text(stream_, "pid"),
                                 Text(stream_, "command"));
  head += fmt::format("\nhere for {}, {}", Time(Attached() * 1000), Text(stream_, "state"));
  if (Has(stream_, "device")) head += " on " + Text(stream_, "device");
  return head + "\n";
}

Paragraph WhyReader::Rate() const {
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
                         Counted(missed, "inference", "inferences"), missed == 1 ? "has" : "have"));
  }
  return said;
}

Paragraph WhyReader::Lowered() const {
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
      said.Say(fmt::format("Its rate is lowered to {} of {} fps{}, because {}.{}{}", Fps(assigned),
                           Plain(required), since, load, Weights(), least));
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
std::string WhyReader::Excess() const {
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
std::string WhyReader::WhyShort() const {
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

// A heavier stream gives up less: how this one compares.
std::string WhyReader::Weights() const {
  std::vector<double> others;
  for (const json& rival : ListOf(one_, "rivals")) {
    if (Has(rival, "fps_required")) others.push_back(Value(rival, "weight", 1));
  }
  const double own = Value(stream_, "weight", 1);
  if (others.empty()) return fmt::format(" It weighs {}.", Plain(own));
  const auto [least, most] = std::ranges::minmax(others);
  return fmt::format(
      " It weighs {}, the others {}: more weight gives up less.", Plain(own),
      least == most ? Plain(least) : fmt::format("{} to {}", Plain(least), Plain(most)));
}

std::string WhyText(const json& answer) {
  std::string text;
  for (const json& one : ListOf(answer, "streams")) {
    text += (text.empty() ? "" : "\n") + WhyReader(answer, one).Read();
  }
  return text;
}

}  // namespace stagger::cli
