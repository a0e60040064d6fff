// Streams and events.
#include <cstring>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/capture.h"
#include "lab/vgpu/libcuda/driver.h"

namespace stagger::vgpu::api {
namespace {

// Runs `use` on the stream that a handle means, under the lock.
template <typename F>
CUresult OnStream(CUstream handle, F use) {
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  CUresult error;
  CUstream stream = driver.Resolve(handle, &error);
  return stream == nullptr ? error : use(driver, &lock, stream);
}

// A stream that captures cannot be waited for or asked: the capture is spoilt.
CUresult NotCapturing(CUstream stream) {
  if (stream->capture == nullptr) return CUDA_SUCCESS;
  Invalidate(stream->capture);
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult Record(Driver& driver, CUstream stream, CUevent event, unsigned flags) {
  if (!Alive(event, Kind::kEvent)) return CUDA_ERROR_INVALID_HANDLE;
  Task task;
  task.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD;
  task.work.record.kind = OpKind::kMarker;
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
  const CUresult enqueued = driver.Enqueue(stream, std::move(task), mark);
  if (enqueued != CUDA_SUCCESS) return enqueued;
  event->mark = std::move(mark);
  event->timeline = &stream->context->device->timeline;
  event->capture = 0;
  event->frontier.clear();
  return CUDA_SUCCESS;
}

CUresult WaitFor(Driver& driver, Lock* lock, CUstream stream, CUevent event) {
  if (!Alive(event, Kind::kEvent)) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture != nullptr || event->capture != 0) {
    return CaptureWait(&driver, stream, event);
  }
  if (event->mark == nullptr || event->mark->over) return CUDA_SUCCESS;
  if (const CUresult allowed = CheckLegacy(&driver, stream); allowed != CUDA_SUCCESS) {
    return allowed;
  }
  Timeline& timeline = stream->context->device->timeline;
  // Devices know nothing of each other: what a stream of one would wait for, the caller does.
  if (event->timeline != &timeline) return event->timeline->Wait(lock, {event->mark->op});
  // A marker of its own, so that a wait in the legacy stream holds back the others too.
  std::vector<OpId> after{event->mark->op};
  stream->context->order.Append(stream->lane, timeline.NextId(), &after);
  Work work;
  work.record.kind = OpKind::kMarker;
  work.record.stream = stream->id;
  timeline.Submit(work, after);
  timeline.Flush();
  return CUDA_SUCCESS;
}

template <typename T>
CUresult Write(CUstream handle, CUdeviceptr address, T value) {
  return OnStream(handle, [&](Driver& driver, Lock*, CUstream stream) {
    if (address % sizeof(T) != 0 || !driver.memory.Usable(address, sizeof(T))) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    Task task;
    task.type = CU_GRAPH_NODE_TYPE_EMPTY;
    task.work.record.kind = OpKind::kMarker;
    task.work.effect = [address, value] {
      __atomic_store_n(reinterpret_cast<T*>(address), value, __ATOMIC_RELEASE);
    };
    const bool captures = stream->capture != nullptr;
    const CUresult enqueued = driver.Enqueue(stream, std::move(task));
    // Somebody may be watching that word.
    if (enqueued == CUDA_SUCCESS && !captures) {
      stream->context->device->timeline.Want(stream->lane->tail);
    }
    return enqueued;
  });
}

CUresult CheckRecorded(CUevent event) {
  if (!Alive(event, Kind::kEvent)) return CUDA_ERROR_INVALID_HANDLE;
  return event->capture != 0 ? CUDA_ERROR_CAPTURED_EVENT : CUDA_SUCCESS;
}

}  // namespace

CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned int flags, int priority) {
  if (stream == nullptr || (flags & ~unsigned{CU_STREAM_NON_BLOCKING}) != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *stream = driver.NewStream(context, flags, priority);
  context->streams.insert(*stream);
  return CUDA_SUCCESS;
}
CUresult cuStreamCreate(CUstream* stream, unsigned int flags) {
  return cuStreamCreateWithPriority(stream, flags, 0);
}

// What it has under way goes on.
CUresult cuStreamDestroy_v2(CUstream stream) {
  const Lock lock(Driver::Get().mutex);
  if (!Alive(stream, Kind::kStream)) return CUDA_ERROR_INVALID_HANDLE;
  CUcontext context = stream->context;
  if (!context->streams.contains(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture != nullptr) {
    Invalidate(stream->capture);
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  context->streams.erase(stream);
  context->order.Remove(stream->lane);
  stream->kind = Kind::kDead;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetPriority(CUstream stream, int* priority) {
  if (priority == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(stream, [&](Driver&, Lock*, CUstream found) {
    *priority = found->priority;
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamGetFlags(CUstream stream, unsigned int* flags) {
  if (flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(stream, [&](Driver&, Lock*, CUstream found) {
    *flags = found->flags;
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamGetId(CUstream stream, unsigned long long* id) {
  if (id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(stream, [&](Driver&, Lock*, CUstream found) {
    *id = found->id;
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(stream, [&](Driver&, Lock*, CUstream found) {
    *context = found->context;
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamGetDevice(CUstream stream, CUdevice* device) {
  if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return OnStream(stream, [&](Driver&, Lock*, CUstream found) {
    *device = found->context->device->ordinal;
    return CUDA_SUCCESS;
  });
}
// Attributes are hints about caches and the like; there are none here.
CUresult cuStreamCopyAttributes(CUstream to, CUstream) {
  return OnStream(to, [](Driver&, Lock*, CUstream) { return CUDA_SUCCESS; });
}
CUresult cuStreamGetAttribute(CUstream stream, CUstreamAttrID, CUstreamAttrValue* value) {
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::memset(value, 0, sizeof *value);
  return cuStreamCopyAttributes(stream, stream);
}
CUresult cuStreamSetAttribute(CUstream stream, CUstreamAttrID, const CUstreamAttrValue* value) {
  return value == nullptr ? CUDA_ERROR_INVALID_VALUE : cuStreamCopyAttributes(stream, stream);
}

CUresult cuStreamSynchronize(CUstream handle) {
  return OnStream(handle, [](Driver& driver, Lock* lock, CUstream stream) {
    CUresult allowed = NotCapturing(stream);
    if (allowed == CUDA_SUCCESS) allowed = CheckLegacy(&driver, stream);
    if (allowed != CUDA_SUCCESS) return allowed;
    std::vector<OpId> ids;
    stream->context->order.Pending(stream->lane, &ids);
    return stream->context->device->timeline.Wait(lock, ids);
  });
}

CUresult cuStreamQuery(CUstream handle) {
  return OnStream(handle, [](Driver& driver, Lock*, CUstream stream) {
    CUresult allowed = NotCapturing(stream);
    if (allowed == CUDA_SUCCESS) allowed = CheckLegacy(&driver, stream);
    if (allowed != CUDA_SUCCESS) return allowed;
    std::vector<OpId> ids;
    stream->context->order.Pending(stream->lane, &ids);
    Timeline& timeline = stream->context->device->timeline;
    for (const OpId id : ids) {
      if (timeline.Over(id)) continue;
      timeline.Want(id);
      return CUDA_ERROR_NOT_READY;
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned int) {
  return OnStream(handle, [event](Driver& driver, Lock* lock, CUstream stream) {
    return WaitFor(driver, lock, stream, event);
  });
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
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *event = new CUevent_st;
  (*event)->context = context;
  (*event)->flags = flags;
  return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event) {
  const Lock lock(Driver::Get().mutex);
  if (!Alive(event, Kind::kEvent)) return CUDA_ERROR_INVALID_HANDLE;
  event->kind = Kind::kDead;
  event->mark.reset();
  return CUDA_SUCCESS;
}

CUresult cuEventRecordWithFlags(CUevent event, CUstream handle, unsigned int flags) {
  return OnStream(handle, [event, flags](Driver& driver, Lock*, CUstream stream) {
    return Record(driver, stream, event, flags);
  });
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
  return cuEventRecordWithFlags(event, stream, CU_EVENT_RECORD_DEFAULT);
}

// An event of a whole context stands for all of its streams: here by way of the legacy one, which
// comes after every blocking stream, and a marker for the others.
CUresult cuCtxRecordEvent(CUcontext context, CUevent event) {
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  if (context == nullptr) context = Current();
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  const CUresult checked = CheckRecorded(event);
  if (checked != CUDA_SUCCESS) return checked;
  std::vector<OpId> after;
  context->order.PendingInAll(&after);
  Work work;
  work.record.kind = OpKind::kMarker;
  auto mark = std::make_shared<Mark>();
  Timeline& timeline = context->device->timeline;
  mark->op = timeline.Submit(work, after, mark);
  timeline.Flush();
  event->mark = std::move(mark);
  event->timeline = &timeline;
  return CUDA_SUCCESS;
}

CUresult cuCtxWaitEvent(CUcontext context, CUevent event) {
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  if (context == nullptr) context = Current();
  if (!Alive(context, Kind::kContext)) return CUDA_ERROR_INVALID_CONTEXT;
  CUresult result = WaitFor(driver, &lock, context->legacy.get(), event);
  for (CUstream stream : context->streams) {
    if (result != CUDA_SUCCESS) break;
    if (!stream->lane->blocking) result = WaitFor(driver, &lock, stream, event);
  }
  return result;
}

CUresult cuEventQuery(CUevent event) {
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  CUresult checked = CheckRecorded(event);
  if (checked == CUDA_SUCCESS) checked = CheckUnsafe(&driver);
  if (checked != CUDA_SUCCESS) return checked;
  if (event->mark == nullptr || event->mark->over) return CUDA_SUCCESS;
  event->timeline->Want(event->mark->op);
  return CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent event) {
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  CUresult checked = CheckRecorded(event);
  if (checked == CUDA_SUCCESS) checked = CheckUnsafe(&driver);
  if (checked != CUDA_SUCCESS || event->mark == nullptr) return checked;
  return event->timeline->Wait(&lock, {event->mark->op});
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Lock lock(Driver::Get().mutex);
  for (CUevent event : {start, end}) {
    const CUresult checked = CheckRecorded(event);
    if (checked != CUDA_SUCCESS) return checked;
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
