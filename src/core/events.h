// What happens to the engine. Plain values; recorded as they are for replay.
#pragma once

#include <string>
#include <variant>

#include "base/ids.h"
#include "base/stream_spec.h"
#include "base/time.h"

namespace stagger::core {

struct PolicySpec {
  std::string name = "fifo";  // core/policies.h lists them
  int concurrency = 0;        // k per device; 0: default (one per core on a CPU device, else 1)
  // Bodies run together while their occupancies (core/occupancy.h) add up to no more; then k is not
  // limited unless it is given too. 0: no such limit.
  double demand_limit = 0;
  bool auto_concurrency = false;  // the engine finds k, device by device; `concurrency` is ignored
  Duration spacing = std::chrono::milliseconds{60};  // between two starts, under `spaced`
  bool elastic = true;  // rates go down when what runs does not fit (core/elastic.h)
  friend bool operator==(const PolicySpec&, const PolicySpec&) = default;
};

struct ClientJoined {
  ClientId client;
  StreamSpec spec;
  friend bool operator==(const ClientJoined&, const ClientJoined&) = default;
};
struct ClientLeft {  // its connection ended: exit, kill, crash
  ClientId client;
  friend bool operator==(const ClientLeft&, const ClientLeft&) = default;
};
struct TurnRequested {
  ClientId client;
  TurnSeq seq;
  DeviceId device;
  Duration since_call{};
  bool gated = true;  // false: the body has started already, only count it
  // The body has started already, since the client has the device to itself (Configure::exclusive).
  bool exclusive = false;
  friend bool operator==(const TurnRequested&, const TurnRequested&) = default;
};
struct TurnReleased {
  ClientId client;
  TurnSeq seq;
  Duration body{};
  Duration wait{};
  Duration call{};  // the whole call, where it ended with the body; 0: InferenceEnded will tell
  friend bool operator==(const TurnReleased&, const TurnReleased&) = default;
};
struct InferenceEnded {  // a call returned some time after its body: the post phase is over
  ClientId client;
  DeviceId device;
  Duration post{};
  Duration call{};
  friend bool operator==(const InferenceEnded&, const InferenceEnded&) = default;
};
struct TurnCancelled {  // gave up waiting; its body runs uncontrolled
  ClientId client;
  TurnSeq seq;
  friend bool operator==(const TurnCancelled&, const TurnCancelled&) = default;
};
struct TurnClaimed {  // after a daemon restart: this client's body has been running for `held`
  ClientId client;
  TurnSeq seq;
  DeviceId device;
  Duration held{};
  friend bool operator==(const TurnClaimed&, const TurnClaimed&) = default;
};
struct WarmupPassed {
  ClientId client;
  std::uint32_t count = 0;
  friend bool operator==(const WarmupPassed&, const WarmupPassed&) = default;
};
struct InferenceForwarded {  // executors ran one, under turns of their own; only to be counted
  ClientId client;
  Duration call{};
  friend bool operator==(const InferenceForwarded&, const InferenceForwarded&) = default;
};
struct PolicySet {
  PolicySpec policy;
  friend bool operator==(const PolicySet&, const PolicySet&) = default;
};
struct RateCapped {  // from now on the stream gets no more than this, whatever it asks for
  ClientId client;
  double fps = 0;  // 0: no cap
  friend bool operator==(const RateCapped&, const RateCapped&) = default;
};
struct ExcessHandled {  // what the agent did with calls beyond the stream's rate
  ClientId client;
  std::uint32_t skipped = 0;   // answered with outputs of the call before
  std::uint32_t deferred = 0;  // waited for their slot
  bool refused = false;        // a session cannot be answered so
  friend bool operator==(const ExcessHandled&, const ExcessHandled&) = default;
};
struct Tick {
  friend bool operator==(const Tick&, const Tick&) = default;
};

using Event = std::variant<ClientJoined, ClientLeft, TurnRequested, TurnReleased, InferenceEnded,
                           TurnCancelled, TurnClaimed, WarmupPassed, PolicySet, RateCapped, Tick,
                           InferenceForwarded, ExcessHandled>;

}  // namespace stagger::core
