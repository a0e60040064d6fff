// What the virtual GPU's server and the libraries in the apps (libcuda.so.1, libnvidia-ml.so.1) say
// to each other: one packet of a SOCK_SEQPACKET Unix socket per message. Both sides come from one
// build on one machine and share CLOCK_MONOTONIC, so values go over as they lie in memory; the
// hello says which protocol, and every read is checked against the packet's end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace stagger::vgpu {

inline constexpr std::uint32_t kProtocol = 3;
inline constexpr std::size_t kMaxPacket = 56 * 1024;
inline constexpr const char* kSocketVariable = "STAGGER_VGPU";
inline constexpr std::uint32_t kMostDevices = 16;
inline constexpr const char* kFaultVariable = "STAGGER_VGPU_FAULT";

enum class OpKind : std::uint8_t {
  kKernel,
  kCopyHtoD,
  kCopyDtoH,
  kCopyDtoD,
  kMemset,
  kMarker,  // takes no time: an event, a join
  kHost,
  kCount
};

enum class Fault : std::uint8_t {
  kNone,
  kLaunch,   // this launch fails, and so does its process from then on
  kAddress,  // likewise, and with MPS every process on the device
  kServer,   // the server is killed by this launch
  kHang,     // the kernel never ends
  kLost,     // the device it was launched on is lost, for all that use it
  kCount
};

enum class Type : std::uint32_t {
  // from an app
  kHello,
  kOps,       // OpsHeader, then `count` times: OpRecord, its dependencies as u64
  kName,      // NameRecord, then the name
  kWant,      // Note
  kHostDone,  // Note
  kReserve,   // Note: device memory, answered
  kRelease,   // Note, not answered
  kAsk,       // Note, answered with kFacts
  kLate,      // LateRecord, not answered
  kSwitch,    // Note: the device is lost, or back; answered
  // from the server
  kWelcome,
  kDone,    // DoneHeader, then `count` DoneRecords
  kAnswer,  // Answer
  kFacts,   // Facts, then `processes` times ProcessFacts
};

struct Hello {
  Type type = Type::kHello;
  std::uint32_t protocol = kProtocol;
  bool observer = false;     // asks only, like NVML
  std::uint32_t device = 0;  // this connection is about it; from 0, as NVML counts
  double share = 1;          // CUDA_MPS_ACTIVE_THREAD_PERCENTAGE / 100
  std::uint64_t memory_limit = ~std::uint64_t{0};
};

// What an app may know of the device.
struct Welcome {
  Type type = Type::kWelcome;
  std::int32_t result = 0;    // a CUresult
  std::uint32_t devices = 0;  // how many the server has, lost ones too
  bool lost = false;
  bool poisoned = false;  // nobody may join just now
  double speed = 1;
  std::uint64_t memory = 0;
  char uuid[16] = {};
  char name[64] = {};
  char label[32] = {};  // as it was declared
};

struct OpsHeader {
  Type type = Type::kOps;
  std::uint32_t count = 0;
  std::int64_t at_ns = 0;  // when the app submitted it
};
struct OpRecord {
  std::uint64_t id = 0;
  OpKind kind{};
  std::uint8_t post = 2;  // 0 body, 1 post, 2 not said
  Fault fault = Fault::kNone;
  std::uint32_t stream = 0;
  std::uint32_t name = 0;
  std::int64_t cost_ns = -1;  // -1: not said
  double demand = -1;         // -1: not said
  std::uint64_t bytes = 0;
  std::uint32_t after = 0;  // how many dependencies follow
};

struct NameRecord {
  Type type = Type::kName;
  std::uint32_t id = 0;  // from 1
};

// What an app says of one operation, or asks with a token that comes back in the answer.
struct Note {
  Type type{};
  std::uint64_t id = 0;  // the operation, or the token
  std::uint64_t value =
      0;  // bytes; of kHostDone when, in ns; of kSwitch whether the device is back
};

// How late completions reached an app, in the steps of lateness.h.
inline constexpr std::size_t kLateSteps = 40;
struct LateRecord {
  Type type = Type::kLate;
  std::int64_t max_ns = 0;
  std::uint32_t counts[kLateSteps] = {};
};

struct DoneHeader {
  Type type = Type::kDone;
  std::uint32_t count = 0;
};
struct DoneRecord {
  std::uint64_t id = 0;
  std::int64_t end_ns = 0;
  std::int32_t result = 0;
  bool run_host = false;
  bool wanted = false;
};

struct Answer {
  Type type = Type::kAnswer;
  std::int32_t result = 0;
  std::uint64_t token = 0;
};

struct Facts {
  Type type = Type::kFacts;
  std::uint32_t processes = 0;
  std::uint64_t token = 0;
  std::uint64_t total = 0;
  std::uint64_t used = 0;
  std::uint64_t limit = 0;      // of the asker
  std::uint64_t used_here = 0;  // by the asker
  std::uint32_t busy_percent = 0;
};
struct ProcessFacts {
  std::uint64_t used = 0;
  std::int32_t pid = 0;
};

class PacketWriter {
 public:
  template <typename T>
  void Put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
  }
  void Put(std::string_view text) {
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), bytes, bytes + text.size());
  }
  template <typename T>
  void PutAt(std::size_t place, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::memcpy(bytes_.data() + place, &value, sizeof value);
  }
  void Clear() { bytes_.clear(); }
  std::size_t size() const { return bytes_.size(); }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class PacketReader {
 public:
  explicit PacketReader(std::span<const std::byte> packet) : rest_(packet) {}
  // False, and nothing taken, when the packet is too short.
  template <typename T>
  bool Get(T* value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (rest_.size() < sizeof *value) return false;
    std::memcpy(value, rest_.data(), sizeof *value);
    rest_ = rest_.subspan(sizeof *value);
    return true;
  }
  std::string_view Text() const {
    return {reinterpret_cast<const char*>(rest_.data()), rest_.size()};
  }
  std::size_t size() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
};

}  // namespace stagger::vgpu
