#include "lab/vgpu/libcuda/driver.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "lab/vgpu/device_list.h"
#include "lab/vgpu/libcuda/capture.h"
#include "lab/vgpu/libcuda/environment.h"

namespace stagger::vgpu {
Driver& Driver::Get() {
  static Driver* const driver = new Driver;
  return *driver;
}

CUresult Driver::Init() {
  if (forked()) return CUDA_ERROR_NOT_INITIALIZED;
  const std::lock_guard lock(init_mutex_);
  if (initialized()) return CUDA_SUCCESS;
  const char* socket = std::getenv(kSocketVariable);
  if (socket == nullptr || *socket == '\0') return CUDA_ERROR_NO_DEVICE;
  socket_ = socket;
  const std::vector<Welcome> all = ListDevices(socket);
  const std::vector<Welcome> seen =
      VisibleDevices(all, std::getenv("CUDA_VISIBLE_DEVICES"), std::getenv("CUDA_DEVICE_ORDER"));
  if (seen.empty()) return CUDA_ERROR_NO_DEVICE;
  if (std::ranges::any_of(seen, &Welcome::poisoned)) return CUDA_ERROR_MPS_CONNECTION_FAILED;
  for (const Welcome& device : seen) {
    const auto ordinal = static_cast<int>(devices.size());
    devices.push_back(std::make_unique<SeenDevice>(&mutex, ordinal, NumberOf(all, device), device));
  }
  faults = FaultsFromEnvironment();
  // A child has this process's memory but neither its threads nor its place at the server.
  pthread_atfork(nullptr, nullptr, [] { Get().forked_.store(true); });
  std::atexit([] {
    Driver& driver = Get();
    if (driver.forked()) return;
    // Not a wait: a thread that was stopped by exit may hold it.
    const std::unique_lock last(driver.mutex, std::try_to_lock);
    if (!last.owns_lock()) return;
    for (const auto& device : driver.devices) device->timeline.TellLateness();
  });
  initialized_.store(true, std::memory_order_release);
  return CUDA_SUCCESS;
}

SeenDevice* Driver::Device(CUdevice ordinal) const {
  const bool there = ordinal >= 0 && static_cast<std::size_t>(ordinal) < devices.size();
  return there ? devices[static_cast<std::size_t>(ordinal)].get() : nullptr;
}

CUresult Driver::failure() const {
  const CUctx_st* context = Current();
  return context == nullptr ? CUDA_SUCCESS : context->device->timeline.failure();
}

CUresult Driver::NewContext(SeenDevice* device, unsigned flags, CUcontext* made) {
  Timeline& timeline = device->timeline;
  STAGGER_CUDA_TRY(timeline.failure());
  STAGGER_CUDA_TRY(timeline.opened()
                       ? CUDA_SUCCESS
                       : timeline.Open(socket_.c_str(), HelloFor(device->number, device->about)));
  auto* context = new CUctx_st;
  context->device = device;
  context->flags = flags;
  context->id = NewId();
  context->legacy = std::make_unique<CUstream_st>();
  context->legacy->context = context;
  context->legacy->queue = context->order.legacy();
  contexts.insert(context);
  *made = context;
  return CUDA_SUCCESS;
}

void Driver::EndContext(CUcontext context) {
  for (CUstream stream : context->streams) stream->kind = Kind::kDead;
  for (CUmodule module : context->modules) module->kind = Kind::kDead;
  context->streams.clear();
  context->modules.clear();
  context->kind = Kind::kDead;
  contexts.erase(context);
}

CUstream Driver::NewStream(CUcontext context, unsigned flags, int priority) {
  auto* stream = new CUstream_st;
  stream->context = context;
  stream->queue = &stream->own_queue;
  stream->own_queue.blocking = (flags & CU_STREAM_NON_BLOCKING) == 0;
  stream->flags = flags;
  stream->priority = priority;
  stream->id = static_cast<std::uint32_t>(NewId());
  context->order.Add(stream->queue);
  return stream;
}

CUresult Driver::Resolve(CUstream* stream) {
  const bool per_thread = *stream == CU_STREAM_PER_THREAD ||
                          (*stream == nullptr && this_call->null_stream_is_per_thread);
  if (*stream != nullptr && *stream != CU_STREAM_LEGACY && !per_thread) {
    return Alive(*stream, Kind::kStream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
  }
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *stream = context->legacy.get();
  if (!per_thread) return CUDA_SUCCESS;
  std::unique_ptr<CUstream_st>& own = context->per_thread[ThreadId()];
  if (own == nullptr) own.reset(NewStream(context, CU_STREAM_DEFAULT, 0));
  *stream = own.get();
  return CUDA_SUCCESS;
}

Task Marker(CUgraphNodeType type) {
  Task task;
  task.type = type;
  task.work = MarkerIn(nullptr);
  return task;
}

Work MarkerIn(CUstream stream) {
  Work work;
  work.record.kind = OpKind::kMarker;
  if (stream != nullptr) work.record.stream = stream->id;
  return work;
}

CUresult Driver::Enqueue(CUstream stream, Task task, const std::shared_ptr<Mark>& mark) {
  task.work.record.stream = stream->id;
  if (stream->capture != nullptr) return CaptureTask(stream, std::move(task));
  STAGGER_CUDA_TRY(CheckLegacy(stream));
  Timeline& timeline = stream->context->device->timeline;
  if (task.function != nullptr) {
    task.work.record.name = timeline.NameOf(task.function->kernel.name);
  }
  std::vector<OpId> after;
  stream->context->order.Append(stream->queue, timeline.NextId(), &after);
  timeline.Submit(task.work, after, mark);
  timeline.Flush();
  return CUDA_SUCCESS;
}

CUresult Driver::EnqueueAndWait(CUstream stream, Task task) {
  if (stream->capture != nullptr) {
    Invalidate(stream->capture);
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  STAGGER_CUDA_TRY(Enqueue(stream, std::move(task)));
  return stream->context->device->timeline.Wait(Held(), {stream->queue->tail});
}

std::vector<CUcontext>& ContextStack() {
  thread_local std::vector<CUcontext> stack;
  return stack;
}

CUcontext Current() {
  const std::vector<CUcontext>& stack = ContextStack();
  return stack.empty() || !Alive(stack.back(), Kind::kContext) ? nullptr : stack.back();
}

int ThreadId() {
  thread_local const int id = static_cast<int>(syscall(SYS_gettid));
  return id;
}

}  // namespace stagger::vgpu
