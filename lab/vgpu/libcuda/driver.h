// The virtual driver's state and the objects behind the API's handles. All of it is guarded by the
// driver's lock, which each exported call holds while it works and lets go of while it waits.
// Objects that an app destroys are kept, marked dead, because apps pass stale handles and must get
// an error, not a crash. The state is never destroyed: threads may call while the process exits.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "lab/vgpu/driver_values.h"
#include "lab/vgpu/libcuda/environment.h"
#include "lab/vgpu/libcuda/image.h"
#include "lab/vgpu/libcuda/memory.h"
#include "lab/vgpu/libcuda/timeline.h"

namespace stagger::vgpu {

// A live object carries its kind's number; nothing else in memory does by accident.
enum class Kind : std::uint32_t {
  kDead = 0,
  kContext = 0x57a66e01,
  kStream,
  kEvent,
  kModule,
  kLibrary,
  kFunction,
  kGraph,
  kNode,
  kExecutable,
  kPool,
};

struct Capture;

struct SeenDevice;

}  // namespace stagger::vgpu

struct CUctx_st {
  stagger::vgpu::Kind kind = stagger::vgpu::Kind::kContext;
  stagger::vgpu::SeenDevice* device = nullptr;
  unsigned flags = 0;
  unsigned long long id = 0;
  int retained = 0;  // of the primary one
  bool primary = false;
  stagger::vgpu::StreamOrder order;
  std::unique_ptr<CUstream_st> legacy;
  std::map<int, std::unique_ptr<CUstream_st>> per_thread;  // by thread id
  std::set<CUstream> streams;                              // created ones
  std::set<CUmodule> modules;
};

struct CUstream_st {
  stagger::vgpu::Kind kind = stagger::vgpu::Kind::kStream;
  CUcontext context = nullptr;
  stagger::vgpu::StreamOrder::Queue* queue = nullptr;
  stagger::vgpu::StreamOrder::Queue own_queue;  // unless it is the legacy one
  unsigned flags = 0;
  int priority = 0;
  std::uint32_t id = 0;
  stagger::vgpu::Capture* capture = nullptr;
  std::vector<CUgraphNode> frontier;  // while it captures: what the next operation comes after
};

struct CUevent_st {
  stagger::vgpu::Kind kind = stagger::vgpu::Kind::kEvent;
  CUcontext context = nullptr;
  unsigned flags = 0;
  std::shared_ptr<stagger::vgpu::Mark> mark;    // of the last record; null: never recorded
  stagger::vgpu::Timeline* timeline = nullptr;  // that mark is of
  std::uint64_t capture = 0;                    // the last record was in this capture; 0: in none
  std::vector<CUgraphNode> frontier;            // there

  void SetRecord(std::shared_ptr<stagger::vgpu::Mark> of, stagger::vgpu::Timeline* on) {
    mark = std::move(of);
    timeline = on;
    capture = 0;
  }
};

struct CUfunc_st {
  stagger::vgpu::Kind kind = stagger::vgpu::Kind::kFunction;
  stagger::vgpu::Kernel kernel;
  CUmodule module = nullptr;
  CUlibrary library = nullptr;
  std::map<int, int> attributes;
};

struct CUmod_st {
  stagger::vgpu::Kind kind = stagger::vgpu::Kind::kModule;
  CUcontext context = nullptr;
  CUlibrary library = nullptr;
  bool ours = false;  // a text that lists its kernels; else it has any
  std::map<std::string, std::unique_ptr<CUfunc_st>> functions;
};

struct CUlib_st {
  stagger::vgpu::Kind kind = stagger::vgpu::Kind::kLibrary;
  CUmod_st module;  // its functions are the library's kernels
};

struct CUmemPoolHandle_st {
  stagger::vgpu::Kind kind = stagger::vgpu::Kind::kPool;
};

namespace stagger::vgpu {

struct Capture {
  std::uint64_t id = 0;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  int thread = 0;
  CUstream origin = nullptr;
  CUgraph graph = nullptr;
  bool own_graph = true;  // made by the capture: EndCapture hands it over
  bool invalidated = false;
  std::set<CUstream> streams;
};

// What goes into a stream: work, and what a graph must remember of it.
struct Task {
  Work work;
  CUgraphNodeType type = CU_GRAPH_NODE_TYPE_KERNEL;
  CUevent event = nullptr;        // recorded
  CUfunction function = nullptr;  // launched
};
// One that only keeps a place in the order; and the same as work in a stream, or null: in none.
Task Marker(CUgraphNodeType type);
Work MarkerIn(CUstream stream);

// One device that this process sees. It is used, and its server knows of us, from the first context
// on.
struct SeenDevice {
  SeenDevice(std::mutex* mutex, int of_ordinal, std::uint32_t of_number, const Welcome& what)
      : ordinal(of_ordinal), number(of_number), about(what), timeline(mutex) {}
  const int ordinal;           // among those this process sees
  const std::uint32_t number;  // as NVML counts
  const Welcome about;
  Timeline timeline;
  CUctx_st* primary = nullptr;
  unsigned primary_flags = 0;
  CUmemPoolHandle_st pool;
};

class Driver {
 public:
  static Driver& Get();

  std::mutex mutex;
  std::vector<std::unique_ptr<SeenDevice>> devices;  // by ordinal; fixed by Init
  Memory memory;
  std::set<CUcontext> contexts;
  std::map<std::uint64_t, std::unique_ptr<Capture>> captures;  // by id
  std::vector<FaultOrder> faults;
  std::map<std::string, std::uint64_t> launches;  // per kernel that a fault is ordered for

  CUresult Init();
  // Null: there is no such device.
  SeenDevice* Device(CUdevice ordinal) const;
  // What every call of the calling thread returns: its device has failed.
  CUresult failure() const;
  bool initialized() const { return initialized_.load(std::memory_order_acquire); }
  bool forked() const { return forked_.load(std::memory_order_relaxed); }
  std::uint64_t NewId() { return ++last_id_; }

  CUresult NewContext(SeenDevice* device, unsigned flags, CUcontext* made);
  void EndContext(CUcontext context);
  CUstream NewStream(CUcontext context, unsigned flags, int priority);

  // Makes of a handle the stream that it means here and now: null, legacy and per-thread ones are
  // resolved.
  CUresult Resolve(CUstream* stream);

  // Puts it into a stream, or into the graph that the stream captures.
  CUresult Enqueue(CUstream stream, Task task, const std::shared_ptr<Mark>& mark = nullptr);
  // The same, and waits for it.
  CUresult EnqueueAndWait(CUstream stream, Task task);

 private:
  Driver() = default;
  std::mutex init_mutex_;
  std::atomic<bool> initialized_{false};
  std::atomic<bool> forked_{false};
  std::string socket_;
  std::uint64_t last_id_ = 0;
};

// The calling thread's contexts, the current one last.
std::vector<CUcontext>& ContextStack();
// The current context if it is alive, else null.
CUcontext Current();
int ThreadId();

// The API call that the calling thread is in; calls do not nest.
struct ApiCall {
  Lock lock;                       // the driver's; what waits lets go of it
  bool null_stream_is_per_thread;  // as the exported _ptsz and _ptds names have it
};
inline constinit thread_local ApiCall* this_call = nullptr;
inline Lock* Held() { return &this_call->lock; }

// Returns what a call inside returned, unless that was success.
#define STAGGER_CUDA_TRY(expression)                                                  \
  if (const CUresult stagger_failed = (expression); stagger_failed != CUDA_SUCCESS) { \
    return stagger_failed;                                                            \
  }                                                                                   \
  static_assert(true)  // takes the semicolon

template <typename T>
bool Alive(const T* object, Kind kind) {
  return object != nullptr && object->kind == kind;
}

}  // namespace stagger::vgpu
