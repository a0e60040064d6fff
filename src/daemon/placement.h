// Which device serves which stream: a plan in force. Takes streams and devices as they come and go,
// keeps every device within the exact test (core/placement) and moves as few streams as it can; and
// says why each is where it is. Loop thread only; no I/O.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "core/placement/model.h"

namespace stagger::daemon {

struct PlacedDevice {
  core::PlanDevice plan;
  std::string on;      // what it is: "cpu:1", "gpu:0"
  std::string socket;  // of the executor that runs there; empty: apps use it themselves
  std::string uuid;    // a GPU's
  pid_t owner = 0;     // who named it
  bool here = true;
  TimePoint since{};  // here, or gone

  // A GPU that apps use themselves, too. While its executor is gone it is here, and of their kind.
  bool shared_with_executor() const { return !uuid.empty() && !socket.empty(); }
};

struct PlacedStream {
  core::StreamNeed need;
  double weight = 1;  // who is placed first where not all can be
  // It is started again when its place changes; one that uses its device itself, and is not, stays
  // where it had to go to, since that is where it runs.
  bool restarts = false;
  pid_t owner = 0;  // who asked for the place; when that process ends, the place is free
  // By index into devices(); of a gone one only until the change at hand is done.
  core::PlacedOn on;
  core::PlacedOn home;  // where it was before a device of it went; empty: it is at home
  std::string reason;
  std::uint64_t moves = 0;
  TimePoint since{};  // at this place, or without one
};

class Placement {
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

 private:
  struct View;  // the devices that are here, and the streams in the order they are placed in
  View Look() const;
  // Places who has none and notes what changed, with that cause: "b is gone".
  Changed Settle(const std::string& cause, TimePoint now);
  void GoHome(std::uint32_t device);
  void DropDevices(pid_t owner);
  void Note(std::string text, TimePoint now);

  std::vector<PlacedDevice> devices_;
  std::vector<PlacedStream> streams_;
  std::deque<Event> events_;
};

}  // namespace stagger::daemon
