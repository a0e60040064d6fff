// What an agent (or the command line) and the daemon say to each other, one message per
// SOCK_SEQPACKET packet. Plain values: no behaviour, no pointers into buffers.
//
// Rules:
// - Durations only, never clock readings: the two sides may not share a clock (containers, VMs).
// - Every field is bounded; the codec refuses what exceeds its bound (wire/codec.h).
// - Text that people will see (a name, a reason, a verb) is UTF-8 without control characters
//   (wire/text.h), so that no client can break a terminal or a JSON document of ours.
// How the protocol grows, so that a daemon and the agents of running apps need not be replaced at
// the same moment:
// - A new field is appended to its message, behind the fields that are known so far. An older peer
//   skips what a newer one has appended; a newer peer takes defaults where an older one ends early
//   (Writer::More and Reader::More in wire/fields.h). An appended field must be one that an older
//   peer may ignore, and the whole message still fits into kMaxShortPacket.
// - What an older peer may not ignore needs a bit in kFeatures: a new message, a new value of an
//   enumeration, a wider bound, another meaning. Hello and Welcome carry the bits. Only what both
//   peers have is used between them.
// - kProtocolVersion rises only when a known field changes its place, size or meaning. Two peers of
//   one version understand each other, whatever either has appended; two of different versions do
//   not, and the daemon answers Refused. The agent then leaves its app uncontrolled and comes again
//   (wire/timers.h). So that this works between any two versions, three things never change: the
//   packet header, `version` as the first field of Hello, Control and Welcome, and all of Refused.
// - Control, ControlReply and Refused take no appended bytes. What the command line asks and is
//   told is JSON, which grows by itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/stream_spec.h"
#include "base/time.h"

namespace stagger::wire {

inline constexpr std::uint16_t kProtocolVersion = 6;
// Which bits this version knows: none is given out yet.
inline constexpr std::uint64_t kFeatures = 0;
// What two peers may use between them. Bits that either does not know drop out.
inline constexpr std::uint64_t AgreedFeatures(std::uint64_t theirs,
                                              std::uint64_t ours = kFeatures) {
  return theirs & ours;
}

inline constexpr std::size_t kMaxName = 64;           // bytes, StreamSpec::name
inline constexpr std::size_t kMaxText = 512;          // bytes, any reason, Control::verb
inline constexpr std::size_t kMaxChunk = 48 * 1024;   // bytes, Control::body, ControlReply::chunk
inline constexpr std::size_t kMaxPacket = 64 * 1024;  // bytes, any encoded message
inline constexpr std::size_t kMaxShortPacket = 1024;  // bytes, all but Control and ControlReply

inline constexpr Duration kMaxDuration = std::chrono::hours{1};  // of any duration; the least is 0
inline constexpr std::uint32_t kMaxDevice = 255;                 // any DeviceId
inline constexpr std::uint32_t kMaxCode = 9999;                  // Faulted::code
inline constexpr std::size_t kMaxGpus = 16;                      // Welcome::gpus
inline constexpr std::size_t kMaxExecutors = 8;                  // Assign::executors, Uses
inline constexpr std::size_t kMaxSocketPath = 107;  // what sockaddr_un takes, less its NUL

// A measured duration as the codec takes it: a clock that stood still or a call of two hours
// must not keep a Release from being sent.
inline constexpr Duration Bounded(Duration d) {
  return d < Duration{0} ? Duration{0} : d > kMaxDuration ? kMaxDuration : d;
}

// Device 0 is the machine's CPU cores taken as one.
inline constexpr DeviceId kCpuDevice{0};

// A GPU's identity, the same for every process and driver on the machine.
using GpuUuid = std::array<std::uint8_t, 16>;

// CPUs by number, 0..255; empty means "wherever the app may run anyway".
struct CoreMask {
  std::array<std::uint64_t, 4> words{};
  bool empty() const { return (words[0] | words[1] | words[2] | words[3]) == 0; }
  void Set(unsigned cpu) {
    if (cpu < 256) words[cpu / 64] |= std::uint64_t{1} << (cpu % 64);
  }
  bool Has(unsigned cpu) const { return cpu < 256 && (words[cpu / 64] >> (cpu % 64) & 1) != 0; }
  friend bool operator==(const CoreMask&, const CoreMask&) = default;
};

// ---- agent -> daemon -------------------------------------------------------------------------

// First packet of an agent. The process id comes from the socket's peer credentials.
struct Hello {
  std::uint16_t version = kProtocolVersion;
  StreamSpec spec{};  // without a name: the daemon makes one
  std::uint64_t features = kFeatures;
  friend bool operator==(const Hello&, const Hello&) = default;
};

// A body is about to start. `seq` rises by one per request within a connection.
struct Request {
  TurnSeq seq;
  DeviceId device;
  Duration since_call{};  // from the framework call's start to now
  bool gated = true;      // false: no turn is awaited (policy off); told only to be counted
  bool exclusive =
      false;  // the body begins at once, as Config::exclusive allows; nothing comes back
  // What Ended would tell of the inference before on this device, where nothing else has told it:
  // one packet, and one wake-up of the daemon, fewer. `call` 0: there is nothing to tell.
  Duration post{};
  Duration call{};
  friend bool operator==(const Request&, const Request&) = default;
};

// The body is over; the turn goes back. Also sent for ungated bodies, and late ones.
struct Release {
  TurnSeq seq;
  Duration body{};  // grant (or start, if ungated) to end
  Duration wait{};  // request to grant; 0 if ungated
  // The whole framework call: what the app sees as inference time. 0: it goes on; Ended or the next
  // Request will tell.
  Duration call{};
  friend bool operator==(const Release&, const Release&) = default;
};

// An inference whose body was released with call 0 has returned. Sent where no Request that could
// tell it follows soon.
struct Ended {
  DeviceId device;  // where its body ran
  Duration post{};  // from the body's end to the return
  Duration call{};
  friend bool operator==(const Ended&, const Ended&) = default;
};

// The requester gave up waiting (its bound passed) and runs uncontrolled.
struct Cancel {
  TurnSeq seq;
  friend bool operator==(const Cancel&, const Cancel&) = default;
};

// Sent after Hello by an agent that attaches while one of its bodies is running,
// so that a restarted daemon knows which turns are held. Released like any other turn.
struct Claim {
  TurnSeq seq;
  DeviceId device;
  Duration held{};  // how long the body has been running
  friend bool operator==(const Claim&, const Claim&) = default;
};

// Inferences the agent let through without telling the daemon one by one (warm-up).
struct Ungated {
  std::uint32_t warmup = 0;  // how many since the last such message
  friend bool operator==(const Ungated&, const Ungated&) = default;
};

// A GPU has failed under this process: every further call of its will fail, and it must be started
// again. At most once per process.
struct Faulted {
  DeviceId device;
  std::uint32_t code = 0;  // the driver's: 700 is an illegal address
  friend bool operator==(const Faulted&, const Faulted&) = default;
};

// What became of calls beyond the stream's rate since the last such message. At most one for each
// inference that runs.
struct Exceeded {
  std::uint32_t skipped = 0;   // answered with the outputs of the call before
  std::uint32_t deferred = 0;  // waited in the app for their slot
  bool refused = false;        // `reuse` cannot be had for a session: all its calls go through
  friend bool operator==(const Exceeded&, const Exceeded&) = default;
};

// An inference that executors ran: it took no turn of this process's, since they ask for theirs.
// Told only to be counted.
struct Forwarded {
  Duration call{};  // the whole framework call: what the app sees as inference time
  friend bool operator==(const Forwarded&, const Forwarded&) = default;
};

// This process may forward its inferences, and these are the sockets of the executors that it uses
// now; none: it runs them itself. Sent once attached and at each change, so that `stagger move`
// sees when the process has moved.
struct Uses {
  std::vector<std::string> executors;  // at most kMaxExecutors; of more, the first
  friend bool operator==(const Uses&, const Uses&) = default;
};

// This process is an executor; apps find it at `socket`. At most once per connection.
struct Serves {
  std::string socket;
  friend bool operator==(const Serves&, const Serves&) = default;
};

// ---- command line -> daemon (instead of Hello) -------------------------------------------------

struct Control {
  std::uint16_t version = kProtocolVersion;
  std::string verb{};  // daemon/control.h has them
  std::string body{};  // JSON arguments, may be empty
  friend bool operator==(const Control&, const Control&) = default;
};

// ---- daemon -> agent ---------------------------------------------------------------------------

// How the daemon numbers a GPU.
struct Gpu {
  DeviceId device;
  GpuUuid uuid{};
  friend bool operator==(const Gpu&, const Gpu&) = default;
};

struct Welcome {
  std::uint16_t version = kProtocolVersion;
  ClientId client{};
  std::vector<Gpu> gpus{};  // at most kMaxGpus; other GPUs are not the daemon's to share out
  std::uint64_t features = kFeatures;  // those that were agreed
  friend bool operator==(const Welcome&, const Welcome&) = default;
};

// How to behave from now on; sent after Welcome and at each change.
struct Config {
  bool gating = true;     // false: policy off, bodies start without waiting
  Duration wait_bound{};  // longest a body may wait before it runs uncontrolled
  Duration period{};      // between inferences, where the agent keeps a rate for us; 0: none
  // Bit i: nobody else uses the daemon's device i, so bodies begin there without waiting for a
  // Grant (Request::exclusive). Still they have a lease, which Expired ends.
  std::uint32_t exclusive = 0;
  bool IsExclusive(DeviceId device) const {
    return device.value < 32 && (exclusive >> device.value & 1) != 0;
  }
  friend bool operator==(const Config&, const Config&) = default;
};

struct Grant {
  TurnSeq seq;
  Duration lease{};  // the turn is taken back this long after now
  CoreMask cores;    // where the body should run
  friend bool operator==(const Grant&, const Grant&) = default;
};

// The lease ended before the body did; others may run now. Release is still expected.
struct Expired {
  TurnSeq seq;
  friend bool operator==(const Expired&, const Expired&) = default;
};

// Where the process's inferences go from now on: sockets of executors; none: it runs them itself.
// Sent when somebody assigns them, and between Welcome and the first Config to a process that joins
// with a name that has been assigned some. Ignored by processes that don't forward.
struct Assign {
  std::vector<std::string> executors;  // at most kMaxExecutors
  // Likewise: they are to have its models loaded, and serve while none of the others can.
  std::vector<std::string> standby{};
  friend bool operator==(const Assign&, const Assign&) = default;
};

// Not with this daemon, as both are now. The connection ends.
struct Refused {
  std::string reason;
  friend bool operator==(const Refused&, const Refused&) = default;
};

// Not now: the client may come again in so long. The connection ends.
struct RetryAfter {
  Duration after{};
  std::string reason;
  friend bool operator==(const RetryAfter&, const RetryAfter&) = default;
};

// ---- daemon -> command line --------------------------------------------------------------------

struct ControlReply {
  bool ok = true;
  bool more = false;  // further chunks follow
  std::string chunk;  // JSON if ok, else one line of error
  friend bool operator==(const ControlReply&, const ControlReply&) = default;
};

using Message = std::variant<Hello, Request, Release, Ended, Cancel, Claim, Ungated, Faulted,
                             Control, Welcome, Config, Grant, Expired, Refused, ControlReply,
                             Forwarded, Uses, Serves, Assign, Exceeded, RetryAfter>;

}  // namespace stagger::wire
