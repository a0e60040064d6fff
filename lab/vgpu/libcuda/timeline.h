// The app's side of one virtual GPU: hands operations to the server, hears what ended, makes their
// effects (data moves, listed kernels compute) and wakes threads that wait. One per device that the
// process uses.
//
// Everything here needs the driver's lock; waiting lets go of it. Two threads of its own,
// all signals blocked: one reads and makes effects, one runs host functions. Neither ever calls
// back into the driver API. When the device or the server is gone everything pending ends with
// kGone, and nothing waits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "lab/vgpu/driver_values.h"
#include "lab/vgpu/libcuda/stream_order.h"
#include "lab/vgpu/protocol.h"

namespace stagger::vgpu {

inline constexpr CUresult kGone = CUDA_ERROR_DEVICE_UNAVAILABLE;

using Lock = std::unique_lock<std::mutex>;

// What an operation does, besides taking time.
struct Work {
  OpRecord record;                     // without id and dependencies
  std::function<void()> effect;        // when it has ended well
  std::function<void(CUresult)> host;  // of a host function: to run it, whatever came before
};

// When an operation ended, for those that want to know later.
struct Mark {
  OpId op = 0;
  bool over = false;
  std::int64_t end_ns = 0;
};

class Timeline {
 public:
  explicit Timeline(std::mutex* mutex) : mutex_(mutex) {}
  // Connects and starts the threads.
  CUresult Open(const char* socket, const Hello& hello);
  bool opened() const { return connected_ || failure_ != CUDA_SUCCESS; }

  // What the next Submit will return.
  OpId NextId() const { return last_id_ + 1; }
  // Sent with the next Flush, so that several make one packet. `mark` learns its id, and its end.
  OpId Submit(const Work& work, const std::vector<OpId>& after,
              std::shared_ptr<Mark> mark = nullptr);
  void Flush();
  std::uint32_t NameOf(std::string_view name);  // as records carry it

  bool Over(OpId id) const;
  // The server will tell of it as soon as it is over.
  void Want(OpId id);
  // Until all are over. The process's error, if it has one.
  CUresult Wait(Lock* lock, const std::vector<OpId>& ids);
  CUresult WaitForAll(Lock* lock);

  // Sticky: what every later call returns.
  CUresult failure() const { return failure_; }

  CUresult Reserve(Lock* lock, std::uint64_t bytes);
  void Release(std::uint64_t bytes);
  CUresult Ask(Lock* lock, Facts* facts);

  void TellLateness();

 private:
  struct Entry {
    bool over = false;
    bool wanted = false;
    std::function<void()> effect;
    std::function<void(CUresult)> host;
    std::shared_ptr<Mark> mark;
  };
  struct Reply {
    bool here = false;
    CUresult result = CUDA_SUCCESS;
    Facts facts;
  };
  // A thread that waits. It is woken when what it waits for has come about, not each time that
  // something ended: an app's launches end thousands of times a second.
  struct Waiter {
    std::function<bool()> due;
    std::condition_variable wake;
  };
  struct HostCall {
    OpId op;
    std::function<void(CUresult)> function;
    CUresult status;
  };

  Entry* Find(OpId id);
  void Await(Lock* lock, std::function<bool()> due);
  // Wakes whose wait is over, once the lock is free: under it they would wait for it again.
  void UnlockAndWake(Lock* lock);
  void Send(const PacketWriter& packet);
  void Read();
  void TakeDone(PacketReader* reader);
  void End(Lock* lock, const DoneRecord& record);
  void RunHostFunctions();
  void Lose(CUresult result);
  void CountLateness(std::int64_t end_ns);
  CUresult AskFor(Lock* lock, Type type, std::uint64_t bytes, Facts* facts);

  std::mutex* const mutex_;
  std::vector<std::shared_ptr<Waiter>> waiters_;
  UniqueFd socket_;
  CUresult failure_ = CUDA_SUCCESS;
  bool connected_ = false;
  OpId last_id_ = 0;
  OpId first_ = 1;             // the id of entries_.front()
  std::deque<Entry> entries_;  // by id; those before first_ are over
  PacketWriter batch_;
  OpsHeader batch_header_;
  std::map<std::string, std::uint32_t, std::less<>> names_;
  std::uint64_t last_token_ = 0;
  std::map<std::uint64_t, Reply*> replies_;
  std::condition_variable host_changed_;
  std::deque<HostCall> host_calls_;
  LateRecord late_;
  std::uint32_t late_count_ = 0;
};

// True on the thread that runs host functions: the driver API is not for it.
bool OnHostFunctionThread();

}  // namespace stagger::vgpu
