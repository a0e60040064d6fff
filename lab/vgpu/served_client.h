// What the virtual GPUs' server keeps: a device, with its processor in model time and what is
// counted of it; and a connection, with its process, what that has named and reserved, and what is
// yet to be told. The server's thread only.
//
// Nothing here waits for a client. What a client does not read is kept for it, up to a bound;
// beyond that, and when the client has gone, it is `broken`, and the server drops it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/time.h"
#include "lab/vgpu/device.h"
#include "lab/vgpu/model.h"
#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

struct ServedDevice {
  ServedDevice(std::uint32_t of_number, const Model& of_model, Mode mode);

  // All but `result` and `devices`.
  Welcome About() const;
  std::uint64_t free_bytes() const { return model.memory_bytes - used; }
  // What takes `cost` on a device of speed 1.
  Duration Slowed(Duration cost) const;
  // The share of the last second in which a kernel ran. Sample() is to be called now and then.
  std::uint32_t BusyPercent(TimePoint now);
  void Sample(TimePoint now);

  const std::uint32_t number;
  const Model& model;
  Device device;
  std::uint64_t used = 0;  // bytes
  bool lost = false;

 private:
  std::deque<std::pair<TimePoint, Duration>> samples_;  // of its busy time
};

class ServedClient {
 public:
  ServedClient(UniqueFd of_socket, int of_pid) : socket(std::move(of_socket)), pid(of_pid) {}

  template <typename T>
  void Tell(const T& message) {
    PacketWriter writer;
    writer.Put(message);
    Send(writer.bytes());
  }
  void Send(const std::vector<std::byte>& packet);
  void SendUnsent();
  bool has_unsent() const { return !unsent_.empty(); }

  // An operation has ended; told with the next TellDone.
  void AddDone(const Outcome& outcome);
  // It waits for an operation that may have ended already.
  void Want(std::uint64_t op);
  bool has_done() const { return !done_.empty(); }
  bool urgent() const { return urgent_; }  // it waits for one of them
  void TellDone();

  // Kernels are told by numbers, from 1. False: it is not the next number.
  bool Name(const NameRecord& record, std::string_view text);
  bool knows(std::uint32_t name) const { return name < names_.size(); }
  const std::string& NameOf(std::uint32_t name) const { return names_[name]; }
  Op OpOf(const OpRecord& record, const KernelCost& default_cost) const;

  // Device memory. False, and nothing done: there is not so much.
  bool Reserve(std::uint64_t bytes);
  bool Release(std::uint64_t bytes);
  std::uint64_t used() const { return used_; }

  const UniqueFd socket;
  const int pid;
  ServedDevice* unit = nullptr;  // once it has said hello
  ProcessKey key = 0;            // 0: an observer, or it has not said hello
  bool greeted = false;
  std::uint64_t limit = 0;      // bytes of device memory
  bool awaits_writing = false;  // whether the socket is watched for that
  bool broken = false;

 private:
  std::uint64_t used_ = 0;
  std::vector<std::string> names_{""};
  std::vector<std::optional<KernelCost>> costs_{std::nullopt};  // by name, from the model
  std::vector<DoneRecord> done_;                                // not sent yet
  bool urgent_ = false;
  std::deque<std::vector<std::byte>> unsent_;
  std::size_t unsent_bytes_ = 0;
};

}  // namespace stagger::vgpu
