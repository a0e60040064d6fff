// Streams and events.
#include <cstring>
#include <functional>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/capture.h"
#include "lab/vgpu/libcuda/driver.h"

namespace stagger::vgpu::api {
namespace {

// Tells one thing of the stream that a handle means.
template <typename T, typename What>
CUresult Tell(CUstream stream, T* value, What what) {
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  STAGGER_CUDA_TRY(Driver::Get().Resolve(&stream));
  *value = std::invoke(what, *stream);
  return CUDA_SUCCESS;
}

// Finds the stream, of which the caller will wait for something or ask whether it is over. One that
// captures cannot be waited for or asked: the capture is spoilt.
CUresult ResolveToAwait(CUstream* stream) {
  STAGGER_CUDA_TRY(Driver::Get().Resolve(stream));
  if ((*stream)->capture == nullptr) return CheckLegacy(*stream);
  Invalidate((*stream)->capture);
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult WaitFor(CUstream stream, CUevent event) {
  if (!Alive(event, Kind::kEvent)) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture != nullptr || event->capture != 0) return CaptureWait(stream, event);
  if (event->mark == nullptr || event->mark->over) return CUDA_SUCCESS;
  STAGGER_CUDA_TRY(CheckLegacy(stream));
  Timeline& timeline = stream->context->device->timeline;
  // Devices know nothing of each other: what a stream of one would wait for, the caller does.
  if (event->timeline != &timeline) return event->timeline->Wait(Held(), {event->mark->op});
  // A marker of its own, so that a wait in the legacy stream holds back the others too.
  std::vector<OpId> after{event->mark->op};
  stream->context->order.Append(stream->queue, timeline.NextId(), &after);
  timeline.Submit(MarkerIn(stream), after);
  timeline.Flush();
  return CUDA_SUCCESS;
}

template <typename T>
CUresult Write(CUstream stream, CUdeviceptr address, T value) {
  Driver& driver = Driver::Get();
  STAGGER_CUDA_TRY(driver.Resolve(&stream));
  if (address % sizeof(T) != 0 || !driver.memory.Usable(address, sizeof(T))) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Task task = Marker(CU_GRAPH_NODE_TYPE_EMPTY);
  task.work.effect = [address, value] {
    __atomic_store_n(reinterpret_cast<T*>(address), value, __ATOMIC_RELEASE);
  };
  const bool captures = stream->capture != nullptr;
  const CUresult enqueued = driver.Enqueue(stream, std::move(task));
  // Somebody may be watching that word.
  if (enqueued == CUDA_SUCCESS && !captures) {
    stream->context->device->timeline.Want(stream->queue->tail);
  }
  return enqueued;
}

CUresult CheckRecorded(CUevent event) {
  if (!Alive(event, Kind::kEvent)) return CUDA_ERROR_INVALID_HANDLE;
  return event->capture != 0 ? CUDA_ERROR_CAPTURED_EVENT : CUDA_SUCCESS;
}
CUresult CheckAsked(CUevent event) {
  const CUresult checked = CheckRecorded(event);
  return checked == CUDA_SUCCESS ? CheckUnsafe() : checked;
}

}  // namespace

CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned int flags, int priority) {
  if (stream == nullptr || (flags & ~unsigned{CU_STREAM_NON_BLOCKING}) != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *stream = Driver::Get().NewStream(context, flags, priority);
  context->streams.insert(*stream);
  return CUDA_SUCCESS;
}
CUresult cuStreamCreate(CUstream* stream, unsigned int flags) {
  return cuStreamCreateWithPriority(stream, flags, 0);
}

// What it has under way goes on.
CUresult cuStreamDestroy_v2(CUstream stream) {
  if (!Alive(stream, Kind::kStream)) return CUDA_ERROR_INVALID_HANDLE;
  CUcontext context = stream->context;
  if (!context->streams.contains(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture != nullptr) {
    Invalidate(stream->capture);
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  context->streams.erase(stream);
  context->order.Remove(stream->queue);
  stream->kind = Kind::kDead;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetPriority(CUstream stream, int* priority) {
  return Tell(stream, priority, &CUstream_st::priority);
}
CUresult cuStreamGetFlags(CUstream stream, unsigned int* flags) {
  return Tell(stream, flags, &CUstream_st::flags);
}
CUresult cuStreamGetId(CUstream stream, unsigned long long* id) {
  return Tell(stream, id, &CUstream_st::id);
}
CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
  return Tell(stream, context, &CUstream_st::context);
}
CUresult cuStreamGetDevice(CUstream stream, CUdevice* device) {
  return Tell(stream, device, [](const CUstream_st& of) { return of.context->device->ordinal; });
}
// Attributes are hints about caches and the like; there are none here.
CUresult cuStreamCopyAttributes(CUstream to, CUstream) { return Driver::Get().Resolve(&to); }
CUresult cuStreamGetAttribute(CUstream stream, CUstreamAttrID, CUstreamAttrValue* value) {
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::memset(value, 0, sizeof *value);
  return cuStreamCopyAttributes(stream, stream);
}
CUresult cuStreamSetAttribute(CUstream stream, CUstreamAttrID, const CUstreamAttrValue* value) {
  return value == nullptr ? CUDA_ERROR_INVALID_VALUE : cuStreamCopyAttributes(stream, stream);
}

CUresult cuStreamSynchronize(CUstream stream) {
  STAGGER_CUDA_TRY(ResolveToAwait(&stream));
  return stream->context->device->timeline.Wait(Held(),
                                                stream->context->order.Pending(stream->queue));
}

CUresult cuStreamQuery(CUstream stream) {
  STAGGER_CUDA_TRY(ResolveToAwait(&stream));
  Timeline& timeline = stream->context->device->timeline;
  for (const OpId id : stream->context->order.Pending(stream->queue)) {
    if (timeline.Over(id)) continue;
    timeline.Want(id);
    return CUDA_ERROR_NOT_READY;
  }
  return CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int) {
  const CUresult error = Driver::Get().Resolve(&stream);
  return error == CUDA_SUCCESS ? WaitFor(stream, event) : error;
}

CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr address, unsigned int value,
                              unsigned int) {
  return Write(stream, address, value);
}
CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, unsigned int value,
                                 unsigned int) {
  return Write(stream, address, value);
}
CUresult cuStreamWriteValue64(CUstream stream, CUdeviceptr address, unsigned long value,
                              unsigned int) {
  return Write(stream, address, value);
}
CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, unsigned long value,
                                 unsigned int) {
  return Write(stream, address, value);
}

CUresult cuEventCreate(CUevent* event, unsigned int flags) {
  if (event == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *event = new CUevent_st;
  (*event)->context = context;
  (*event)->flags = flags;
  return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event) {
  if (!Alive(event, Kind::kEvent)) return CUDA_ERROR_INVALID_HANDLE;
  event->kind = Kind::kDead;
  event->mark.reset();
  return CUDA_SUCCESS;
}

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags) {
  STAGGER_CUDA_TRY(Driver::Get().Resolve(&stream));
  if (!Alive(event, Kind::kEvent)) return CUDA_ERROR_INVALID_HANDLE;
  Task task = Marker(CU_GRAPH_NODE_TYPE_EVENT_RECORD);
  if (stream->capture != nullptr) {
    if (stream->capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if ((flags & CU_EVENT_RECORD_EXTERNAL) != 0) {
      task.event = event;
      return CaptureTask(stream, std::move(task));
    }
    event->capture = stream->capture->id;
    event->frontier = stream->frontier;
    return CUDA_SUCCESS;
  }
  auto mark = std::make_shared<Mark>();
  const CUresult enqueued = Driver::Get().Enqueue(stream, std::move(task), mark);
  if (enqueued == CUDA_SUCCESS) {
    event->SetRecord(std::move(mark), &stream->context->device->timeline);
    event->frontier.clear();
  }
  return enqueued;
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
  return cuEventRecordWithFlags(event, stream, CU_EVENT_RECORD_DEFAULT);
}

// An event of a whole context stands for all of its streams: here by way of the legacy one, which
// comes after every blocking stream, and a marker for the others.
CUresult cuCtxRecordEvent(CUcontext context, CUevent event) {
  if (context == nullptr) context = Current();
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  STAGGER_CUDA_TRY(CheckRecorded(event));
  auto mark = std::make_shared<Mark>();
  Timeline& timeline = context->device->timeline;
  timeline.Submit(MarkerIn(nullptr), context->order.PendingInAll(), mark);
  timeline.Flush();
  event->SetRecord(std::move(mark), &timeline);
  return CUDA_SUCCESS;
}

CUresult cuCtxWaitEvent(CUcontext context, CUevent event) {
  if (context == nullptr) context = Current();
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  CUresult result = WaitFor(context->legacy.get(), event);
  for (CUstream stream : context->streams) {
    if (result != CUDA_SUCCESS) break;
    if (!stream->queue->blocking) result = WaitFor(stream, event);
  }
  return result;
}

CUresult cuEventQuery(CUevent event) {
  STAGGER_CUDA_TRY(CheckAsked(event));
  if (event->mark == nullptr || event->mark->over) return CUDA_SUCCESS;
  event->timeline->Want(event->mark->op);
  return CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent event) {
  const CUresult checked = CheckAsked(event);
  if (checked != CUDA_SUCCESS || event->mark == nullptr) return checked;
  return event->timeline->Wait(Held(), {event->mark->op});
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (CUevent event : {start, end}) {
    STAGGER_CUDA_TRY(CheckRecorded(event));
    if (event->mark == nullptr || (event->flags & CU_EVENT_DISABLE_TIMING) != 0) {
      return CUDA_ERROR_INVALID_HANDLE;
    }
    if (!event->mark->over) return CUDA_ERROR_NOT_READY;
  }
  *milliseconds =
      static_cast<float>(static_cast<double>(end->mark->end_ns - start->mark->end_ns) / 1e6);
  return CUDA_SUCCESS;
}
CUresult cuEventElapsedTime_v2(float* milliseconds, CUevent start, CUevent end) {
  return cuEventElapsedTime(milliseconds, start, end);
}

}  // namespace stagger::vgpu::api
