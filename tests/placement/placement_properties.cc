// Whatever happens to streams and devices, in any order: no stream is on a device that is gone or
// does not suit, every device passes the exact test or has failed it by measurement alone and soon
// says so, what apps and executors are told is what the plan says, and the same events make the
// same plan.
#include <fmt/format.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "placement/in_force.h"

namespace stagger::placement {
namespace {

struct Move {
  int kind = 0;
  unsigned which = 0;
  unsigned how = 0;
};

rc::Gen<Move> AnyMove() {
  return rc::gen::construct<Move>(rc::gen::inRange(0, 12), rc::gen::inRange(0U, 60U),
                                  rc::gen::inRange(0U, 1000U));
}

std::string Text(const PlanInForce& plan) {
  std::string text;
  for (const PlacedDevice& device : plan.devices()) {
    text += fmt::format("{} {} {} {}\n", device.plan.name, device.here,
                        static_cast<int>(device.plan.kind), device.overfull);
  }
  for (const PlacedStream& stream : plan.streams()) {
    text +=
        fmt::format("{} on {} ({}), {} moves, {} fps\n", stream.need.name,
                    plan.DeviceNamesOf(stream), stream.reason, stream.moves, stream.lowered_fps);
  }
  for (const PlanInForce::Event& event : plan.events()) text += event.text + "\n";
  return text;
}

// Devices, by name, that do not pass the test as measured.
std::set<std::string> Failing(const PlanInForce& plan) {
  PlacementProblem problem;
  Plan on;
  for (const PlacedDevice& device : plan.devices()) problem.devices.push_back(PlanOf(device));
  for (const PlacedStream& stream : plan.streams()) {
    problem.streams.push_back(NeedOf(stream));
    on.streams.push_back(stream.on);
  }
  const std::vector<DeviceTasks> tasks = TasksOf(problem, on);
  std::set<std::string> failing;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (!Passes(problem.devices[i], tasks[i])) failing.insert(problem.devices[i].name);
  }
  return failing;
}

class World {
 public:
  void Apply(const Move& move) {
    now_ = now_ + std::chrono::milliseconds{move.how * 5};
    const std::string device = fmt::format("d{}", move.which % 5);
    const std::string stream = fmt::format("s{}", move.which % 12);
    const pid_t owner = 1 + static_cast<pid_t>(move.how % 3);
    switch (move.kind) {
      case 0:
      case 1:
        Happens(Joined{{Device(device, move.how, owner)}, {}, {}, {}, true});
        break;
      case 2:
      case 3:
      case 4:
      case 5:
        Happens(Joined{{}, {Stream(stream, move.how, owner)}, {}, {}, move.how % 2 == 0});
        break;
      case 6:
        Happens(Left{{stream, "nobody"}});
        break;
      case 7:
        if (move.how % 4 == 0) Happens(OwnerGone{owner});
        break;
      case 8:
      case 9:
        Happens(Presence{device, move.how % 2 == 0, move.how % 3 == 0, "broken"});
        break;
      case 10:
        // As they come from one device while something lasts.
        for (int i = 0; i < 3; ++i) Happens(Measured{device, Measurements(stream, move.how)});
        break;
      default:
        Happens(StandbyDue{move.which % 6});
    }
  }

  // With nothing new, all that fail the test say so, and no others.
  void Settle() {
    for (std::size_t round = 0; round < 2 * plan_.devices().size(); ++round) {
      now_ = now_ + std::chrono::seconds{3};
      Happens(Measured{plan_.devices()[round % plan_.devices().size()].plan.name, {}});
    }
    const std::set<std::string> failing = Failing(plan_);
    for (const PlacedDevice& device : plan_.devices()) {
      if (!device.here) continue;
      RC_ASSERT(device.overfull.empty() == !failing.contains(device.plan.name));
    }
  }

  void Again() const {
    PlanInForce again;
    for (const auto& [event, at] : events_) (void)again.Step(event, at);
    RC_ASSERT(Text(again) == Text(plan_));
  }

 private:
  static PlacedDevice Device(const std::string& name, unsigned how, pid_t owner) {
    PlacedDevice device;
    const unsigned kind = how % 5;
    device.plan = {name, 0.5 * (1 + how % 4), how % 7 == 0 ? 2.0 : 0, DeviceKind::kExecutor};
    device.owner = owner;
    if (kind != 0) device.socket = "/" + name;
    if (kind < 2) device.uuid = "GPU-" + name;
    if (kind == 0) device.plan.kind = DeviceKind::kGpu;
    if (kind == 1) device.plan.kind = DeviceKind::kAny;
    return device;
  }

  static PlacedStream Stream(const std::string& name, unsigned how, pid_t owner) {
    PlacedStream stream;
    stream.need.name = stream.need.app = name;
    stream.need.fps = 1 + how % 13;
    stream.need.body = FromMs(1 + how % 60);
    stream.need.pre = FromMs(how % 3);
    stream.need.memory_gb = how % 4 * 0.4;
    stream.need.most_parts = 1 + static_cast<int>(how % 3);
    stream.need.kind = how % 5 == 0 ? DeviceKind::kGpu : DeviceKind::kExecutor;
    if (how % 11 == 0) stream.need.load = FromMs(5);
    if (how % 17 == 0) stream.need.kind = DeviceKind::kAny;
    stream.weight = 1 + how % 2;
    stream.restarts = how % 2 == 0;
    stream.owner = owner;
    return stream;
  }

  static DeviceMeasurements Measurements(const std::string& stream, unsigned how) {
    DeviceMeasurements measurements;
    if (how % 2 == 0) measurements.pace = 1.0 / (1 + how % 4);
    if (how % 3 == 0) measurements.available_gb = 0.5 + how % 5;
    if (how % 5 < 3) measurements.apps.push_back({stream, FromMs(1 + how % 150)});
    return measurements;
  }

  void Happens(const PlanEvent& event) {
    const std::set<std::string> before = Failing(plan_);
    const std::string text = Text(plan_);
    events_.emplace_back(event, now_);
    const Result<PlanActions> actions = plan_.Step(event, now_);
    if (!actions) {
      RC_ASSERT(std::holds_alternative<Joined>(event));
      RC_ASSERT(Text(plan_) == text);
      return;
    }
    for (const PlanAction& action : *actions) {
      if (const auto* assign = std::get_if<AssignTo>(&action)) {
        if (assign->sockets) assigned_[assign->stream] = *assign->sockets;
        if (!assign->sockets) assigned_.erase(assign->stream);
      } else if (const auto* cap = std::get_if<CapRate>(&action)) {
        caps_[cap->stream] = cap->fps;
        if (cap->fps == 0) caps_.erase(cap->stream);
      }
    }
    if (!std::holds_alternative<Measured>(event)) {
      for (const std::string& device : Failing(plan_)) RC_ASSERT(before.contains(device));
    }
    Check();
  }

  void Check() const {
    std::map<std::string, std::vector<std::string>> assigned;
    std::map<std::string, double> caps;
    for (const PlacedStream& stream : plan_.streams()) {
      const std::string& name = stream.need.name;
      RC_ASSERT(!stream.reason.empty());
      RC_ASSERT(std::set(stream.on.begin(), stream.on.end()).size() == stream.on.size());
      RC_ASSERT(static_cast<int>(stream.on.size()) <= std::max(1, stream.need.most_parts));
      for (const std::uint32_t index : stream.on) {
        const PlacedDevice& device = plan_.devices().at(index);
        RC_ASSERT(device.here);
        RC_ASSERT(Suits(stream.need.kind, device.plan.kind));
      }
      if (stream.lowered_fps > 0) {
        RC_ASSERT(stream.lowered_fps < stream.need.fps);
        caps[name] = stream.lowered_fps;
      }
      if (stream.need.kind != DeviceKind::kExecutor) continue;
      for (const std::uint32_t index : stream.on) {
        assigned[name].push_back(plan_.devices()[index].socket);
      }
      assigned.try_emplace(name);
    }
    RC_ASSERT(assigned == assigned_);
    RC_ASSERT(caps == caps_);
  }

  PlanInForce plan_;
  TimePoint now_{std::chrono::seconds{1}};
  std::vector<std::pair<PlanEvent, TimePoint>> events_;
  std::map<std::string, std::vector<std::string>> assigned_;
  std::map<std::string, double> caps_;
};

}  // namespace
}  // namespace stagger::placement

int main() {
  using namespace stagger::placement;  // NOLINT
  const bool held = rc::check("every device keeps to the test, or says why not", [] {
    const auto moves = *rc::gen::scale(2.0, rc::gen::container<std::vector<Move>>(AnyMove()));
    World world;
    for (const Move& move : moves) world.Apply(move);
    world.Settle();
    world.Again();
  });
  return held ? 0 : 1;
}
