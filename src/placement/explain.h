// Says of a plan what a person wants to know: how much room is left and for what, why a stream is
// where it is, and what would make one fit that does not. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "placement/model.h"

namespace stagger::placement {

// How much longer all bodies of a device may get before one would be late.
struct Margin {
  double growth = 0;                   // 0.25: a quarter longer; at most kMostGrowth
  std::optional<std::size_t> binding;  // whose deadline would be missed first, by index
};
inline constexpr double kMostGrowth = 9;
Margin MarginOf(std::span<const admission::Task> tasks);

// How many more streams like one fit on a device beside what it serves, at most `most`.
struct Room {
  std::uint32_t like = 0;  // a stream of the problem
  std::uint32_t more = 0;
};
std::uint32_t RoomFor(const PlacementProblem& problem, const DeviceTasks& serves,
                      std::uint32_t device, std::uint32_t like, std::uint32_t most);

// "one more 4 fps gate camera fits; two need another GPU"
std::string InWords(const PlacementProblem& problem, const Room& room, std::uint32_t most);

class Explainer {
 public:
  Explainer(const PlacementProblem& problem, const Plan& plan);

  // Why it is where it is, or why it is nowhere and what would help.
  std::string Reason(std::uint32_t stream) const;
  const std::vector<DeviceTasks>& devices() const { return devices_; }

 private:
  std::string Placed(std::uint32_t stream) const;
  std::string Alone(std::uint32_t stream, std::uint32_t device) const;
  std::string Nowhere(std::uint32_t stream) const;
  // Whether it would fit somewhere as things stand, beside what is there.
  bool FitsSomewhere(const StreamNeed& need) const;

  const PlacementProblem& problem_;
  const Plan& plan_;
  std::vector<DeviceTasks> devices_;
  // One stream of each kind, and one device of each kind of load, up to a few.
  std::vector<std::uint32_t> kinds_;
  std::vector<std::uint32_t> roomiest_;
};

}  // namespace stagger::placement
