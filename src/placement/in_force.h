// Which device serves which stream: a plan in force. Takes streams and devices as they come and go,
// keeps every device within the exact test (admission) and moves as few streams as it can; and
// says why each is where it is. A value: one thread at a time, and a copy is another plan. No I/O.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "placement/drift.h"
#include "placement/model.h"

namespace stagger::placement {

struct PlacedDevice {
  placement::PlanDevice plan;
  std::string on;      // what it is: "cpu:1", "gpu:0"
  std::string socket;  // of the executor that runs there; empty: apps use it themselves
  std::string uuid;    // a GPU's
  pid_t owner = 0;     // the process that named it
  bool here = true;
  TimePoint since{};  // here, or gone
  // As measured: how many times slower than stated, and how many times less memory is left for it.
  Drift slower;
  Drift shorter;
  // Not all that it serves ends in time any more, and nothing else passes: why. Empty: it is not
  // so.
  std::string overfull;
  TimePoint measured{};      // its speed, last
  TimePoint try_again_at{};  // to relieve it

  // A GPU that apps use themselves, too. While its executor is gone it is here, and of their kind.
  bool shared_with_executor() const { return !uuid.empty() && !socket.empty(); }
};

struct PlacedStream {
  placement::StreamNeed need;
  double weight = 1;  // the heavier are placed first where not all can be
  // It is started again when its place changes; one that uses its device itself, and is not, stays
  // where it had to go to, since that is where it runs.
  bool restarts = false;
  pid_t owner = 0;  // the process that asked for the place; when it ends, the place is free
  // By index into devices(); of a gone one only until the change at hand is done.
  placement::PlacedOn on;
  placement::PlacedOn home;  // where it was before a device of it went; empty: it is at home
  placement::PlacedOn
      standby;  // where it would be were a device of it gone; what has its model loaded
  std::string reason;
  std::uint64_t moves = 0;
  std::uint64_t change = 0;  // of all changes of places, the one that put it there
  TimePoint since{};         // at this place, or without one
  Drift growth;              // of its body over what the plan was made with, as measured
  TimePoint relieved_at{};   // when it last moved because of measurements
  double lowered_fps = 0;    // what a device with too much to do leaves of its rate; 0: all of it

  bool stays_where_it_runs() const { return need.kind == placement::DeviceKind::kGpu && !restarts; }
};

// As plans count them: with what was measured.
placement::StreamNeed NeedOf(const PlacedStream& stream);
placement::PlanDevice PlanOf(const PlacedDevice& device);

// What a device says of itself, or its executor does.
struct DeviceFigures {
  // The share of the device's time that is its own, where something ran since the last figures.
  std::optional<double> pace;
  double available_gb = 0;  // memory for it, with what it has; 0: not known
  struct App {
    std::string name;
    Duration body{};  // on this device as it is stated to be
  };
  std::vector<App> apps;  // those that ran since the last figures, and often enough
};

class PlanInForce {
 public:
  struct Event {
    TimePoint at;
    std::string text;
  };
  // Names of streams whose place is another now.
  using Changed = std::vector<std::string>;

  const std::vector<PlacedDevice>& devices() const { return devices_; }
  const std::vector<PlacedStream>& streams() const { return streams_; }
  const std::deque<Event>& events() const { return events_; }  // the latest, oldest first
  std::uint64_t noted() const { return noted_; }               // so many ever
  std::uint64_t changes() const { return changes_; }           // of places, ever
  bool empty() const { return devices_.empty() && streams_.empty(); }
  const PlacedStream* Find(const std::string& name) const;
  const PlacedDevice* FindDevice(const std::string& name) const;
  const PlacedDevice* DeviceAt(const std::string& socket) const;  // of its executor
  // The devices' names, as text: "a, b".
  std::string PlaceOf(const PlacedStream& stream) const;

  // All or nothing. A stream's `on` counts `devices_` and then `devices`; where it is empty, or no
  // longer passes the test, a place is found. `partial`: streams may stay without one; else the
  // error says why one has none, and what would help.
  Result<Changed> Add(std::vector<PlacedDevice> devices, std::vector<PlacedStream> streams,
                      bool partial, TimePoint now);
  Changed Remove(const std::vector<std::string>& streams, TimePoint now);
  // All that this process asked for.
  Changed RemoveOwner(pid_t owner, TimePoint now);
  Changed DeviceGone(const std::string& name, const std::string& why, TimePoint now);
  Changed DeviceBack(const std::string& name, TimePoint now);
  // Its executor: with it goes the device, or of one that apps use themselves, too, only what is
  // sent there.
  Changed ExecutorGone(const std::string& name, const std::string& why, TimePoint now);
  Changed ExecutorBack(const std::string& name, TimePoint now);

  // Finds where those on this device would go were it gone, where there is memory for their models
  // beside what is there. Whose standby is another now.
  Changed PlanStandby(std::uint32_t device);

  // A stream that moved because of measurements stays for so long, whatever they say.
  static constexpr Duration kLeastStay = std::chrono::seconds{10};
  // Where a device's measured figures no longer pass the test: moves as few streams as it can, to
  // where they pass with the same figures. Where nothing passes all stay, the device says so, and
  // its streams' rates are lowered by the elastic law (core/elastic.h) until it passes. One
  // device is relieved at a time, the others with the next figures.
  Changed Measure(const std::string& device, const DeviceFigures& figures, TimePoint now);

 private:
  // The devices that are here and within the test, and the streams that are on them or nowhere, in
  // the order they are placed in.
  struct View;
  // `with`: this device, too, whatever the test says of it.
  View Look(std::optional<std::uint32_t> with = std::nullopt) const;
  // All devices and streams, as plans count them with what was measured.
  std::pair<placement::PlacementProblem, placement::Plan> AsMeasured() const;
  std::vector<bool> Overfull() const;
  Changed Relieve(TimePoint now);
  void LowerRates(TimePoint now);
  bool ReliefOf(std::uint32_t device, TimePoint now, Changed* changed);
  std::string CauseOf(std::uint32_t device) const;
  // Places streams that have no place and notes what changed, with that cause: "b is gone".
  Changed Settle(const std::string& cause, TimePoint now);
  // `what` has just gone, and with it the place of streams that no longer suit; or it is back.
  Changed Leave(std::uint32_t device, const std::string& what, const std::string& why,
                TimePoint now);
  Changed Return(std::uint32_t device, const std::string& what, TimePoint now);
  void GoHome(std::uint32_t device);
  void DropDevices(pid_t owner);
  void Note(std::string text, TimePoint now);

  std::vector<PlacedDevice> devices_;
  std::vector<PlacedStream> streams_;
  std::deque<Event> events_;
  std::uint64_t noted_ = 0;
  std::uint64_t changes_ = 0;
  std::uint32_t relieved_next_ = 0;  // the device that Relieve begins with
};

}  // namespace stagger::placement
