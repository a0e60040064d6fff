// Devices that no longer keep to the plan, as measured: which streams move so that they do again.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "placement/explain.h"
#include "placement/in_force.h"
#include "placement/keep_plan.h"

namespace stagger::placement {

namespace {

// Until what failed is tried again, where nothing changed.
constexpr Duration kRetry = std::chrono::seconds{2};
// A device on which nothing runs tells no speed: what was measured before is then forgotten.
constexpr Duration kRemembered = std::chrono::seconds{60};
// Of sets of streams that might leave.
constexpr std::size_t kMostTries = 200;

Duration Times(Duration time, double factor) {
  return Duration{
      static_cast<Duration::rep>(std::ceil(static_cast<double>(time.count()) * factor))};
}

// The plan with these streams placed anew, all others first where they are; nullopt: it fails the
// test, or one of them has no place then.
std::optional<Plan> Without(const PlacementProblem& problem, const Plan& current,
                            const std::vector<std::uint32_t>& leaving) {
  Board board(problem, AnyLoads(problem));
  for (std::uint32_t i = 0; i < current.streams.size(); ++i) {
    if (current.streams[i].empty() || std::ranges::count(leaving, i) > 0) continue;
    if (!board.Put(i, current.streams[i])) return std::nullopt;
  }
  for (const std::uint32_t stream : leaving) {
    board.Place(stream);
    if (board.placed()[stream].empty()) return std::nullopt;
  }
  return board.plan();
}

}  // namespace

StreamNeed NeedOf(const PlacedStream& stream) {
  StreamNeed need = stream.need;
  need.body = Times(need.body, stream.growth.factor());
  return need;
}

PlanDevice PlanOf(const PlacedDevice& device) {
  PlanDevice plan = device.plan;
  plan.speed /= device.slower.factor();
  plan.memory_gb /= device.shorter.factor();
  return plan;
}

std::pair<PlacementProblem, Plan> PlanInForce::AsMeasured() const {
  PlacementProblem problem;
  Plan plan;
  for (const PlacedDevice& device : devices_) problem.devices.push_back(PlanOf(device));
  for (const PlacedStream& stream : streams_) {
    problem.streams.push_back(NeedOf(stream));
    // One that is only now coming has not been tested yet.
    plan.streams.push_back(stream.reason.empty() ? PlacedOn() : stream.on);
  }
  return {std::move(problem), std::move(plan)};
}

std::vector<bool> PlanInForce::Overfull() const {
  const auto [problem, plan] = AsMeasured();
  const std::vector<DeviceTasks> tasks = TasksOf(problem, plan);
  std::vector<bool> overfull;
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    overfull.push_back(!Passes(problem.devices[i], tasks[i]));
  }
  return overfull;
}

PlanInForce::View PlanInForce::Look(std::optional<std::uint32_t> with) const {
  // What is overfull is left alone, and so is whatever shares a stream with it.
  std::vector<bool> hidden = Overfull();
  if (with) hidden[*with] = false;
  const auto touches = [&](const PlacedStream& stream, bool state) {
    return !stream.reason.empty() && std::ranges::any_of(stream.on, [&](std::uint32_t device) {
      return devices_[device].here && hidden[device] == state;
    });
  };
  const auto whole = [&](const PlacedStream& stream) {
    return std::ranges::all_of(stream.on, [&](std::uint32_t d) {
      return devices_[d].here && Suits(stream.need.kind, devices_[d].plan.kind);
    });
  };
  for (bool more = true; more;) {
    more = false;
    for (const PlacedStream& stream : streams_) {
      if (!whole(stream) || !touches(stream, true) || !touches(stream, false)) continue;
      for (const std::uint32_t device : stream.on) hidden[device] = more = true;
    }
  }
  View view;
  std::vector<std::optional<std::uint32_t>> number(devices_.size());
  for (std::uint32_t i = 0; i < devices_.size(); ++i) {
    if (!devices_[i].here || hidden[i]) continue;
    number[i] = static_cast<std::uint32_t>(view.devices.size());
    view.devices.push_back(i);
    view.problem.devices.push_back(PlanOf(devices_[i]));
  }
  std::vector<std::uint32_t> order(streams_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::uint32_t a, std::uint32_t b) {
    return streams_[a].weight > streams_[b].weight;
  });
  for (const std::uint32_t stream : order) {
    if (whole(streams_[stream]) && touches(streams_[stream], true)) continue;
    view.streams.push_back(stream);
    view.problem.streams.push_back(NeedOf(streams_[stream]));
    PlacedOn on;
    for (const std::uint32_t device : streams_[stream].on) {
      if (number[device]) on.push_back(*number[device]);
    }
    // A part that is gone: the whole of it is placed anew.
    if (on.size() < streams_[stream].on.size()) on.clear();
    view.current.streams.push_back(std::move(on));
  }
  return view;
}

Result<void> PlanInForce::On(const Measured& measured, TimePoint now) {
  const PlacedDevice* found = FindDevice(measured.device);
  if (found == nullptr || !found->here) return {};
  const DeviceMeasurements& measurements = measured.measurements;
  const auto index = static_cast<std::uint32_t>(found - devices_.data());
  PlacedDevice& device = devices_[index];
  const std::uint64_t noted = noted_;
  bool news = false;
  if (measurements.pace && *measurements.pace > 0) {
    device.measured = now;
    news |= device.slower.Take(1 / *measurements.pace);
  } else if (now - device.measured > kRemembered && device.slower.factor() > 1) {
    device.slower = {};
    news = true;
  }
  if (device.plan.memory_gb > 0 && measurements.available_gb > 0) {
    news |= device.shorter.Take(device.plan.memory_gb / measurements.available_gb);
  }
  for (const DeviceMeasurements::App& app : measurements.apps) {
    for (PlacedStream& stream : streams_) {
      if (stream.need.name != app.name || std::ranges::count(stream.on, index) == 0) continue;
      const Duration planned = Times(stream.need.body, 1 / device.plan.speed);
      news |= stream.growth.Take(static_cast<double>(app.body.count()) /
                                 static_cast<double>(planned.count()));
    }
  }
  if (news) {
    for (PlacedDevice& each : devices_) each.try_again_at = {};
  }
  Relieve(now);
  LowerRates(now);
  for (const PlacedStream& stream : streams_) {
    if (stream.lowered_fps > 0) actions_.push_back(CapRate{stream.need.name, stream.lowered_fps});
  }
  const std::size_t fresh = std::min<std::size_t>(noted_ - noted, events_.size());
  for (std::size_t i = events_.size() - fresh; i < events_.size(); ++i) {
    actions_.push_back(Report{events_[i].text});
  }
  if (fresh > 0) actions_.push_back(PlanAhead{});
  return {};
}

void PlanInForce::Relieve(TimePoint now) {
  std::vector<bool> overfull = Overfull();
  // One device at a time, since each may take hundreds of boards; the next one is next.
  bool tried = false;
  const std::uint32_t first = relieved_next_;
  for (std::size_t k = 0; k < devices_.size(); ++k) {
    const auto i = static_cast<std::uint32_t>((first + k) % devices_.size());
    PlacedDevice& device = devices_[i];
    if (!device.here) continue;
    if (!overfull[i]) {
      if (!std::exchange(device.overfull, {}).empty()) {
        Note(fmt::format("{}: all that it serves ends in time again", device.plan.name), now);
      }
      continue;
    }
    if (tried || now < device.try_again_at) continue;
    tried = true;
    relieved_next_ = i + 1;
    device.try_again_at = now + kRetry;
    if (!ReliefOf(i, now)) continue;
    device.overfull.clear();
    overfull = Overfull();
  }
}

std::string PlanInForce::CauseOf(std::uint32_t device) const {
  const PlacedDevice& on = devices_[device];
  std::string cause;
  const auto add = [&](const std::string& text) { cause += (cause.empty() ? "" : ", ") + text; };
  if (on.slower.factor() > 1) {
    add(fmt::format("{} has {:.0f} % of its speed left", on.plan.name, 100 / on.slower.factor()));
  }
  if (on.shorter.factor() > 1) {
    add(fmt::format("{} has {:.3g} of its {:.3g} GB left", on.plan.name, PlanOf(on).memory_gb,
                    on.plan.memory_gb));
  }
  std::size_t more = 0;
  for (const PlacedStream& stream : streams_) {
    if (stream.growth.factor() == 1 || std::ranges::count(stream.on, device) == 0) continue;
    if (!cause.empty() && ++more > 2) continue;
    add(fmt::format("the body of {} takes {:.3g} ms there, not {:.3g}", stream.need.name,
                    ToMs(NeedOf(stream).body) / on.plan.speed,
                    ToMs(stream.need.body) / on.plan.speed));
  }
  if (more > 2) add(fmt::format("and so for {} more", more - 2));
  return cause;
}

// Whether the device is within the test then.
bool PlanInForce::ReliefOf(std::uint32_t device, TimePoint now) {
  const View view = Look(device);
  const auto runs_there = [&](std::uint32_t i) {
    const PlacedStream& stream = streams_[view.streams[i]];
    return stream.stays_where_it_runs() && !stream.on.empty();
  };
  const auto stays = [&](std::uint32_t i) {
    const TimePoint moved = streams_[view.streams[i]].relieved_at;
    return runs_there(i) || (moved != TimePoint{} && now - moved < kLeastStay);
  };
  // In the order in which they had better go.
  std::vector<std::uint32_t> able;
  bool restarted = true;
  for (std::uint32_t i = 0; i < view.streams.size(); ++i) {
    if (std::ranges::count(streams_[view.streams[i]].on, device) == 0) continue;
    restarted = restarted && !runs_there(i);
    if (!stays(i)) able.push_back(i);
  }
  std::ranges::stable_sort(able, [&](std::uint32_t a, std::uint32_t b) {
    const PlacedStream& one = streams_[view.streams[a]];
    const PlacedStream& other = streams_[view.streams[b]];
    return std::pair(-one.growth.factor(), one.weight) <
           std::pair(-other.growth.factor(), other.weight);
  });
  std::optional<Plan> best;
  std::vector<std::uint32_t> moved;
  std::size_t tries = 0;
  const auto consider = [&](const std::vector<std::uint32_t>& leaving) {
    ++tries;
    std::optional<Plan> plan = Without(view.problem, view.current, leaving);
    if (!plan) return;
    std::vector<std::uint32_t> now_moved;
    for (const MovedStream& move : MovesTo(*plan, view.current)) now_moved.push_back(move.stream);
    if (std::ranges::any_of(now_moved, stays)) return;
    if (best && now_moved.size() >= moved.size()) return;
    best = std::move(plan);
    moved = std::move(now_moved);
  };
  const auto done = [&](std::size_t most) {
    return (best && moved.size() <= most) || tries >= kMostTries;
  };
  for (std::size_t a = 0; a < able.size() && !done(1); ++a) consider({able[a]});
  for (std::size_t a = 0; a < able.size() && !done(2); ++a) {
    for (std::size_t b = 0; b < a && !done(2); ++b) consider({able[b], able[a]});
  }
  std::vector<std::uint32_t> leaving;
  for (std::size_t a = 0; a < able.size() && !best; ++a) {
    leaving.push_back(able[a]);
    if (a >= 2) consider(leaving);
  }
  const std::string cause = CauseOf(device);
  PlacedDevice& relieved = devices_[device];
  if (!best) {
    if (!relieved.overfull.empty()) return false;
    Plan without = view.current;
    std::string helps = restarted ? "its streams moved less than 10 s ago"
                                  : "its apps are not started again for that (on_move: restart)";
    if (!able.empty()) {
      without.streams[able.front()].clear();
      helps = fmt::format("{} {}", streams_[view.streams[able.front()]].need.name,
                          Explainer(view.problem, without).Reason(able.front()));
    }
    relieved.overfull = fmt::format(
        "{}; not all that it serves ends in time, and nothing is moved: {}", cause, helps);
    Note(fmt::format("{}: {}", relieved.plan.name, relieved.overfull), now);
    return false;
  }
  for (const std::uint32_t i : moved) {
    PlacedStream& stream = streams_[view.streams[i]];
    stream.relieved_at = now;
    stream.home.clear();
  }
  Follow(view, *best, cause, now);
  return true;
}

}  // namespace stagger::placement
