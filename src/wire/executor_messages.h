// What an agent and an executor say to each other. One connection is one *slot*: one session's way
// to run one inference at a time. Control goes over the socket, one message per packet; tensors and
// their descriptions lie in memory that both map (wire/tensor_layout.h).
//
//   agent                    executor
//   Open (+ model's bytes) -> WantModel | Opened (+ arena, model, stub) | Refused
//   Reserve                -> Reserved
//   Infer                  -> Inferred
//   Ask                    -> Told         (instead of Open: somebody looks)
//
// The rules of wire/messages.h hold: durations only, every field bounded, `version` comes first in
// Open and Ask, Refused never changes. But nothing is appended: an executor is started again with
// the program it belongs to, and an agent of another version runs its inferences in its app.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/sha256.h"
#include "wire/messages.h"

namespace stagger::wire {

inline constexpr std::uint16_t kExecutorVersion = 1;
inline constexpr std::size_t kMaxSessionOptions = 8 * 1024;  // bytes, Open::options
inline constexpr std::size_t kMaxRuntimePath = 4096;         // bytes, Open::runtime
inline constexpr std::uint64_t kMaxArena = std::uint64_t{1} << 32;

// Descriptor sent along, or not: the model's bytes, in a memfd that can no longer change.
struct Open {
  std::uint16_t version = kExecutorVersion;
  Sha256 model{};       // of the model's bytes
  std::string options;  // what of the session's options matters to results, one per line, sorted
  std::string runtime;  // path of the app's ONNX Runtime, to run the same one
  std::uint64_t runtime_device = 0;  // and which file that is, as the app sees it
  std::uint64_t runtime_inode = 0;
  std::string name;  // the stream's, for people
  friend bool operator==(const Open&, const Open&) = default;
};

// The executor does not have that model: Open again, with its bytes.
struct WantModel {
  friend bool operator==(const WantModel&, const WantModel&) = default;
};

// Three descriptors come along: the arena, the executor's copy of the model, the stub model.
struct Opened {
  std::uint64_t input_bytes = 0;     // the arena is an input and an output region of these sizes
  std::uint64_t output_bytes = 0;    //
  std::uint64_t input_reserved = 0;  // of the input region there is memory for so much
  bool batch = false;                // items along the first dimension don't touch each other
  friend bool operator==(const Opened&, const Opened&) = default;
};

// Memory for so much of the input region, please.
struct Reserve {
  std::uint64_t input_bytes = 0;
  friend bool operator==(const Reserve&, const Reserve&) = default;
};
struct Reserved {
  std::uint64_t input_reserved = 0;  // less than asked for: the executor's memory is used up
  friend bool operator==(const Reserved&, const Reserved&) = default;
};

// Run what the input region describes.
struct Infer {
  std::uint64_t seq = 0;
  Duration due{};  // until the result is needed; 0: not stated
  friend bool operator==(const Infer&, const Infer&) = default;
};
struct Inferred {
  std::uint64_t seq = 0;
  bool ok = false;  // false: the runtime refused it, or its outputs found no room; run it locally
  Duration body{};  // in the runtime
  friend bool operator==(const Inferred&, const Inferred&) = default;
};

struct StatusRequest {
  std::uint16_t version = kExecutorVersion;
  friend bool operator==(const StatusRequest&, const StatusRequest&) = default;
};
struct StatusReply {
  std::string chunk;  // JSON
  friend bool operator==(const StatusReply&, const StatusReply&) = default;
};

using ExecutorMessage = std::variant<Open, WantModel, Opened, Reserve, Reserved, Infer, Inferred,
                                     StatusRequest, StatusReply, Refused>;

}  // namespace stagger::wire
