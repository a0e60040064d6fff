// What is said first: which stream it is, its rate, and why it has no other.
#include "cli/why_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cli/why_reader.h"

namespace stagger::cli {

namespace {

constexpr double kShort = 0.95;  // of a rate: below this it is not kept
constexpr double kSettledS = 5;  // the window of the rate: before that it says little

std::string Fps(double fps) { return fmt::format("{:.{}f}", fps, fps < 100 ? 1 : 0); }

}  // namespace

std::string WhyReader::Read() const {
  return Head() + Rate().Under("rate") + Lowered().Under("") + Waiting().Under("waiting") +
         Turns().Under("") + LastWaits() + Admission().Under("admission") +
         Leases().Under("leases") + WithoutTurn().Under("no turn") + Bodies().Under("bodies") +
         Placement().Under("placement") + Gpu().Under("gpu");
}

std::string WhyReader::Head() const {
  std::string head = fmt::format("{}: pid {}, {}", stream_.name, stream_.pid, stream_.command);
  head += fmt::format("\nhere for {}, {}", Time(stream_.attached_s * 1000), stream_.state);
  if (stream_.device) head += " on " + *stream_.device;
  return head + "\n";
}

Paragraph WhyReader::Rate() const {
  Paragraph said;
  if (!stream_.fps_required) {
    said.Say(
        fmt::format("It states no rate (--fps), so nothing says whether the {} fps that it "
                    "gets are enough, and its rate is never lowered.",
                    Fps(stream_.fps)));
  } else {
    said.Say(fmt::format("It needs {} fps and gets {}.", Plain(*stream_.fps_required),
                         Fps(stream_.fps)));
  }
  if (stream_.deadline_ms) {
    const double late = stream_.deadline_miss_ratio.value_or(0);
    said.Say(late > 0 ? fmt::format("{:.1f} % of its inferences took longer than the {} they may "
                                    "take.",
                                    late * 100, Time(*stream_.deadline_ms))
                      : fmt::format("Each took no longer than the {} it may take.",
                                    Time(*stream_.deadline_ms)));
  }
  if (const std::uint64_t missed = stream_.missed.value_or(0); missed > 0) {
    said.Say(fmt::format("Since it joined, {} that its rate asks for {} not been done.",
                         Counted(static_cast<double>(missed), "inference", "inferences"),
                         missed == 1 ? "has" : "have"));
  }
  return said;
}

Paragraph WhyReader::Lowered() const {
  Paragraph said;
  if (!stream_.fps_required) return said;
  const double required = *stream_.fps_required;
  const double assigned = stream_.fps_assigned.value_or(0);
  const documents::Rate& rate = one_.rate;
  const std::string load = fmt::format("streams with a stated rate ask for {} of what {} can do",
                                       Share(device_.load_ratio.value_or(0)), device_.name);
  const std::string least =
      rate.min_fps > 0 ? fmt::format(" It never goes below its min_fps of {}.", Plain(rate.min_fps))
                       : "";
  if (IsLowered()) {
    const std::string since =
        rate.lowered_s ? fmt::format(", for {} now", Time(*rate.lowered_s * 1000)) : "";
    if (rate.cap_fps && stream_.placement && stream_.placement->place.lowered_fps) {
      said.Say(
          fmt::format("Its rate is lowered to {} of {} fps, since its device has more to do than "
                      "was planned and nothing else has room.{}",
                      Fps(assigned), Plain(required), least));
    } else if (rate.cap_fps) {
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
  if (device_.overloaded) {
    said.Say(fmt::format("{} is overloaded ({}), but this stream's rate is kept.{}", device_.name,
                         load, Weights()));
  } else if (device_.load_ratio) {
    said.Say(fmt::format("Its rate is not lowered: {}.", load));
  }
  if (stream_.attached_s > kSettledS && stream_.fps < kShort * assigned) said.Say(WhyShort());
  return said;
}

// What becomes of a call that comes before its next slot.
std::string WhyReader::Excess() const {
  const auto skipped = static_cast<double>(stream_.counters.skipped);
  if (stream_.excess == "pass") return "A call that comes before its next slot passes.";
  if (stream_.excess == "reuse") {
    return fmt::format(
        "A call that comes before its next slot gets the outputs of the one before; {} so.",
        Counted(skipped, "was answered", "were answered"));
  }
  return "A call that comes before its next slot is held back in the app.";
}

// The rate may be had, and still is not.
std::string WhyReader::WhyShort() const {
  const double between = 1000 / stream_.fps_required.value_or(1);
  const double call = stream_.inference_ms.mean.value_or(0);
  const double wait = stream_.wait_ms.mean.value_or(0);
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
  for (const documents::Rival& rival : one_.rivals) {
    if (rival.fps_required) others.push_back(rival.weight);
  }
  const double own = stream_.weight;
  if (others.empty()) return fmt::format(" It weighs {}.", Plain(own));
  const auto [least, most] = std::ranges::minmax(others);
  return fmt::format(
      " It weighs {}, the others {}: more weight gives up less.", Plain(own),
      least == most ? Plain(least) : fmt::format("{} to {}", Plain(least), Plain(most)));
}

std::string WhyText(const documents::Why& answer) {
  std::string text;
  for (const documents::WhyStream& one : answer.streams) {
    text += (text.empty() ? "" : "\n") + WhyReader(answer, one).Read();
  }
  return text;
}

}  // namespace stagger::cli
