// Which device serves which stream: a plan in force. Step(event, now) takes what happens to streams
// and devices, keeps every device within the exact test (admission), moves as few streams as it
// can, and returns what is to be done about that; the plan says why each stream is where it is. A
// value: one thread at a time, a copy is another plan, and the same events make the same plan. No
// I/O.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "placement/drift.h"
#include "placement/model.h"

namespace stagger::placement {

struct PlacedDevice {
  PlanDevice plan;
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
  StreamNeed need;
  double weight = 1;  // the heavier are placed first where not all can be
  // It is started again when its place changes; one that uses its device itself, and is not, stays
  // where it had to go to, since that is where it runs.
  bool restarts = false;
  pid_t owner = 0;  // the process that asked for the place; when it ends, the place is free
  // By index into devices(); of a gone one only until the change at hand is done.
  PlacedOn on;
  PlacedOn home;     // where it was before a device of it went; empty: it is at home
  PlacedOn standby;  // where it would be were a device of it gone; what has its model loaded
  std::string reason;
  std::uint64_t moves = 0;
  std::uint64_t change = 0;  // of all changes of places, the one that put it there
  TimePoint since{};         // at this place, or without one
  Drift growth;              // of its body over what the plan was made with, as measured
  TimePoint relieved_at{};   // when it last moved because of measurements
  double lowered_fps = 0;    // what a device with too much to do leaves of its rate; 0: all of it

  bool stays_where_it_runs() const { return need.kind == DeviceKind::kGpu && !restarts; }
};

// As plans count them: with what was measured.
StreamNeed NeedOf(const PlacedStream& stream);
PlanDevice PlanOf(const PlacedDevice& device);

// What a device says of itself, or its executor does.
struct DeviceMeasurements {
  // The share of the device's time that is its own, where something ran since the last
  // measurements.
  std::optional<double> pace;
  double available_gb = 0;  // memory for it, with what it has; 0: not known
  struct App {
    std::string name;
    Duration body{};  // on this device as it is stated to be
  };
  std::vector<App> apps;  // those that ran since the last measurements, and often enough
};

// ---- what happens ----------------------------------------------------------------------------

// All or nothing. A stream's `on` counts the plan's devices and then `devices`; where it is empty,
// or no longer passes the test, a place is found.
struct Joined {
  std::vector<PlacedDevice> devices;
  std::vector<PlacedStream> streams;
  // By stream, and shorter if the rest has none: devices by name, beside `on`; and the app or
  // stream of the plan whose needs it has, but for rate, deadline and parts.
  std::vector<std::vector<std::string>> places;
  std::vector<std::string> like;
  // Streams may stay without a place; else the error says why one has none, and what would help.
  bool partial = false;
};
struct Left {
  std::vector<std::string> streams;
};
struct OwnerGone {  // with all that it asked for
  pid_t owner = 0;
};
// A device is gone, or back; or its executor is: with it goes the device, or of one that apps use
// themselves, too, only what is sent there.
struct Presence {
  std::string device;
  bool here = true;
  bool executor = false;
  std::string why{};  // it is gone
};
// Where a device's measurements no longer pass the test: as few streams move as can, to where they
// pass with the same measurements. Where nothing passes all stay, the device says so, and its
// streams' rates are lowered by the elastic law (core/elastic.h) until it passes. One device is
// relieved at a time, the others with the next measurements.
struct Measured {
  std::string device;
  DeviceMeasurements measurements;
};
// It is time to find where those on this device would go were it gone, where there is memory for
// their models beside what is there.
struct StandbyDue {
  std::uint32_t device = 0;
};
using PlanEvent = std::variant<Joined, Left, OwnerGone, Presence, Measured, StandbyDue>;

// ---- what is to be done ----------------------------------------------------------------------

// Where a stream's inferences go from now on: executors, none where it has no place; and why.
// nullopt: the stream's assignment is to be forgotten.
struct AssignTo {
  std::string stream;
  std::optional<std::vector<std::string>> sockets;
  std::string why{};
};
// Executors that are to have its model ready beside those.
struct StandBy {
  std::string stream;
  std::vector<std::string> sockets;
};
// What it may ask for at most, frames a second; 0: what it needs. Lowered rates are told at each
// measurement: a process that has just joined has not heard of its own.
struct CapRate {
  std::string stream;
  double fps = 0;
};
struct Report {  // for the log
  std::string text;
  bool warns = true;
};
// Where streams would go may be another now: StandbyDue for each device, in a while.
struct PlanAhead {};
using PlanAction = std::variant<AssignTo, StandBy, CapRate, Report, PlanAhead>;
using PlanActions = std::vector<PlanAction>;

class PlanInForce {
 public:
  struct Event {
    TimePoint at;
    std::string text;
  };
  static constexpr std::size_t kMostStreams = 1024;
  static constexpr std::size_t kMostDevices = 256;
  // A stream that moved because of measurements stays for so long, whatever they say.
  static constexpr Duration kLeastStay = std::chrono::seconds{10};

  const std::vector<PlacedDevice>& devices() const { return devices_; }
  const std::vector<PlacedStream>& streams() const { return streams_; }
  const std::deque<Event>& events() const { return events_; }  // the latest, oldest first
  std::uint64_t changes() const { return changes_; }           // of places, ever
  bool empty() const { return devices_.empty() && streams_.empty(); }
  const PlacedStream* Find(const std::string& name) const;
  const PlacedDevice* FindDevice(const std::string& name) const;
  const PlacedDevice* DeviceAt(const std::string& socket) const;  // of its executor
  // The devices' names, as text: "a, b".
  std::string DeviceNamesOf(const PlacedStream& stream) const;

  // Error: only of Joined, one line; nothing has changed then.
  Result<PlanActions> Step(const PlanEvent& event, TimePoint now);

 private:
  // What planning sees: the devices that are here and within the test, and the streams that are on
  // them or nowhere, in the order they are placed in.
  struct View {
    PlacementProblem problem;
    Plan current;
    std::vector<std::uint32_t> devices;  // of the problem, as indices into devices_
    std::vector<std::uint32_t> streams;  // likewise
  };
  // `with`: this device, too, whatever the test says of it.
  View Look(std::optional<std::uint32_t> with = std::nullopt) const;
  // All devices and streams, as plans count them with what was measured.
  std::pair<PlacementProblem, Plan> AsMeasured() const;
  std::vector<bool> Overfull() const;

  Result<void> On(const Joined& joined, TimePoint now);
  Result<void> On(const Left& left, TimePoint now);
  Result<void> On(const OwnerGone& gone, TimePoint now);
  Result<void> On(const Presence& presence, TimePoint now);
  Result<void> On(const Measured& measured, TimePoint now);
  Result<void> On(const StandbyDue& due, TimePoint now);

  Result<void> Resolve(const Joined& joined, std::vector<PlacedStream>* streams) const;
  std::optional<DeviceKind> OnlyKind() const;  // of all devices
  void Drop(const std::set<std::string>& streams);
  void DropDevices(pid_t owner);
  // Places streams that have no place and notes what changed, with that cause: "b is gone".
  void PlaceUnplaced(const std::string& cause, TimePoint now);
  void GoHome(std::uint32_t device, const std::string& cause, TimePoint now);
  // Those of the view that the plan has elsewhere, to where it has them.
  void Follow(const View& view, const Plan& plan, const std::string& cause, TimePoint now);
  void Relieve(TimePoint now);
  bool ReliefOf(std::uint32_t device, TimePoint now);
  std::string CauseOf(std::uint32_t device) const;
  void LowerRates(TimePoint now);
  std::vector<std::string> SocketsOf(const PlacedOn& on) const;
  void TellPlace(const PlacedStream& stream);
  void Note(std::string text, TimePoint now);

  std::vector<PlacedDevice> devices_;
  std::vector<PlacedStream> streams_;
  std::deque<Event> events_;
  std::uint64_t noted_ = 0;  // events, ever
  std::uint64_t changes_ = 0;
  std::uint32_t relieved_next_ = 0;  // the device that Relieve begins with
  PlanActions actions_;              // of the step at hand
};

}  // namespace stagger::placement
