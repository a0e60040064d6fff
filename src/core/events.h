// What happens to the engine. Plain values; recorded as they are for replay.
#pragma once

#include <string>
#include <variant>

#include "base/ids.h"
#include "base/time.h"

namespace stagger::core {

struct StreamSpec {
  std::string name;
  double required_fps = 0;  // 0: not stated
  Duration deadline{};      // from a call's start; 0: not stated
  double weight = 1;
};

struct PolicySpec {
  std::string name = "fifo";  // core/policies.h lists them
  int concurrency = 0;        // k per device; 0: default (one per core on a CPU device, else 1)
};

struct ClientJoined {
  ClientId client;
  StreamSpec spec;
};
struct ClientLeft {  // its connection ended: exit, kill, crash
  ClientId client;
};
struct TurnRequested {
  ClientId client;
  TurnSeq seq;
  DeviceId device;
  Duration since_call{};
  bool gated = true;  // false: the body has started already, only count it
};
struct TurnReleased {
  ClientId client;
  TurnSeq seq;
  Duration body{};
  Duration wait{};
  Duration call{};
};
struct TurnCancelled {  // gave up waiting; its body runs uncontrolled
  ClientId client;
  TurnSeq seq;
};
struct TurnClaimed {  // after a daemon restart: this client's body has been running for `held`
  ClientId client;
  TurnSeq seq;
  DeviceId device;
  Duration held{};
};
struct WarmupPassed {
  ClientId client;
  std::uint32_t count = 0;
};
struct PolicySet {
  PolicySpec policy;
};
struct Tick {};

using Event = std::variant<ClientJoined, ClientLeft, TurnRequested, TurnReleased, TurnCancelled,
                           TurnClaimed, WarmupPassed, PolicySet, Tick>;

}  // namespace stagger::core
