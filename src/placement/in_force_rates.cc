// Devices that have too much to do while nothing else has room: whose rate is lowered, and by how
// much.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/elastic.h"
#include "placement/in_force.h"

namespace stagger::placement {

namespace {

// Of a device with too much to do, what rates are lowered to: the first that passes the test.
constexpr double kFull = 0.98;
constexpr double kFullStep = 0.04;
constexpr double kLeastFull = 0.1;

class Lowering {
 public:
  Lowering(const PlacementProblem& problem, const Plan& plan,
           const std::vector<PlacedStream>& streams)
      : problem_(problem), plan_(plan), streams_(streams) {
    for (const StreamNeed& need : problem.streams) rates_.push_back(need.fps);
  }

  // What the elastic law leaves to those on the device. `again`: to those on it alone, beside what
  // has been left to streams that are split.
  void Press(std::uint32_t device, bool again) {
    struct Pressed {
      std::uint32_t stream;
      double parts;
      bool fixed;
    };
    std::vector<Pressed> on;
    std::vector<core::RateRequest> requests;
    for (std::uint32_t i = 0; i < streams_.size(); ++i) {
      if (std::ranges::count(plan_.streams[i], device) == 0) continue;
      const std::size_t parts = plan_.streams[i].size();
      // An app that uses the device itself waits for its turns: the engine lowers its rate.
      const bool fixed = (again && parts > 1) || problem_.streams[i].kind == DeviceKind::kGpu;
      const Pressed one{i, static_cast<double>(parts), fixed};
      const double fps = (one.fixed ? rates_[i] : problem_.streams[i].fps) / one.parts;
      on.push_back(one);
      requests.push_back({fps, one.fixed ? fps : 0, streams_[i].weight,
                          ToMs(problem_.streams[i].body) / 1000 / problem_.devices[device].speed});
    }
    for (double full = kFull; full >= kLeastFull && !on.empty(); full -= kFullStep) {
      const std::vector<double> pressed = core::ElasticRates(requests, full);
      std::vector<double> rates = rates_;
      PlacementProblem slower = problem_;
      for (std::size_t k = 0; k < on.size(); ++k) {
        const auto [i, parts, fixed] = on[k];
        const bool lowered = pressed[k] < requests[k].fps;
        const double rate = lowered ? pressed[k] * parts : problem_.streams[i].fps;
        // Parts serve frames by turns, so the slowest says how often.
        if (!fixed) rates[i] = parts > 1 ? std::min(rates_[i], rate) : rate;
        slower.streams[i].fps = rates[i];
      }
      if (!Passes(slower.devices[device], TasksOf(slower, plan_)[device])) continue;
      rates_ = std::move(rates);
      return;
    }
    // Where not even the least passes, lower rates help nothing: bodies, or memory.
  }

  // 0: its own.
  double LoweredOf(std::uint32_t stream) const {
    return rates_[stream] < problem_.streams[stream].fps ? rates_[stream] : 0;
  }

 private:
  const PlacementProblem& problem_;
  const Plan& plan_;
  const std::vector<PlacedStream>& streams_;
  std::vector<double> rates_;
};

}  // namespace

void PlanInForce::LowerRates(TimePoint now) {
  const auto is_overfull = [](const PlacedDevice& device) {
    return device.here && !device.overfull.empty();
  };
  const auto is_lowered = [](const PlacedStream& stream) { return stream.lowered_fps > 0; };
  if (std::ranges::none_of(devices_, is_overfull) && std::ranges::none_of(streams_, is_lowered)) {
    return;
  }
  const auto [problem, plan] = AsMeasured();
  Lowering lowering(problem, plan, streams_);
  // A stream that is split over two of them is held back by one; the other has room then.
  for (const bool again : {false, true}) {
    for (std::uint32_t d = 0; d < devices_.size(); ++d) {
      if (is_overfull(devices_[d])) lowering.Press(d, again);
    }
  }
  for (std::uint32_t i = 0; i < streams_.size(); ++i) {
    PlacedStream& stream = streams_[i];
    const double lowered = lowering.LoweredOf(i);
    if (lowered == stream.lowered_fps) continue;
    stream.lowered_fps = lowered;
    if (lowered == 0) actions_.push_back(CapRate{stream.need.name, 0});
    Note(lowered > 0
             ? fmt::format("{}: its rate is lowered to {:.3g} of {:.3g} fps, so that all "
                           "on {} end in time",
                           stream.need.name, lowered, stream.need.fps, DeviceNamesOf(stream))
             : fmt::format("{}: has its rate of {:.3g} fps again", stream.need.name,
                           stream.need.fps),
         now);
  }
}

}  // namespace stagger::placement
