// A slot: one connection to an executor, and memory shared with it, for one inference at a time.
// Used by one thread at a time. Every wait is bounded. Nothing here exits, throws or prints.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "agent/forward/shared.h"
#include "base/time.h"
#include "wire/executor_messages.h"
#include "wire/tensor_layout.h"

namespace stagger::agent {

class ExecutorSlot {
 public:
  enum class Outcome : unsigned char {
    kDone,
    kFailed,  // the executor could not: it has to run in the app
    kLost,    // the executor died, hangs or the connection is gone: it may run elsewhere
  };

  struct Opening {
    std::unique_ptr<ExecutorSlot> slot;  // null: not opened
    bool refused = false;                // the executor is there and said no
    std::string reason;                  // one line, if not opened
    // Of the model, in memory that all apps on this executor share. Asked for by the first slot.
    Mapping model;
    Mapping stub;
    bool batch = false;
  };

  // Waits up to the time a model may take to load. `model` are the bytes to send if the executor
  // does not have them. Within a second of `give_up` it waits no longer.
  static Opening Open(const std::string& socket, const wire::Open& open,
                      std::span<const std::byte> model, bool want_files,
                      const std::atomic<bool>* give_up = nullptr);

  // Room for so many bytes of inputs; false if there is none to be had.
  bool Reserve(std::uint64_t input_bytes);
  std::byte* input() const { return arena_.data(); }
  const std::byte* output() const { return arena_.data() + input_bytes_; }
  std::uint64_t output_bytes() const { return output_bytes_; }

  // Starts what the input region describes; `due`: until the result is needed, 0 if not stated.
  // False if the connection is gone.
  bool Start(Duration due);
  Outcome Await();

  unsigned executor = 0;    // by number
  unsigned generation = 0;  // of the process: a forked child must not use it

 private:
  explicit ExecutorSlot(UniqueFd socket) : socket_(std::move(socket)) {}
  bool AwaitMessage(TimePoint until, wire::ExecutorMessage* message);

  OwnSocket socket_;
  Mapping arena_;
  std::uint64_t input_bytes_ = 0;
  std::uint64_t output_bytes_ = 0;
  std::uint64_t input_reserved_ = 0;
  std::uint64_t seq_ = 0;
  Duration longest_{};
  unsigned reported_ = 0;  // the executor's place in this process's report
};

}  // namespace stagger::agent
