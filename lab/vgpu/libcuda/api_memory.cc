// Device, host and managed memory. All of it is this process's own; what counts is reserved at the
// server.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/capture.h"
#include "lab/vgpu/libcuda/driver.h"

namespace stagger::vgpu::api {
namespace {

CUdeviceptr PointerOf(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

CUresult Allocate(std::size_t bytes, MemoryKind kind, unsigned flags, CUdeviceptr* address) {
  if (address == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  Allocation made{0, bytes, kind, flags, context};
  if (made.on_device()) {
    if (bytes > SIZE_MAX - 512) return CUDA_ERROR_OUT_OF_MEMORY;
    STAGGER_CUDA_TRY(context->device->timeline.Reserve(Held(), Memory::Counted(bytes)));
  }
  void* memory = Memory::Map(bytes);
  if (memory == nullptr) {
    if (made.on_device()) context->device->timeline.Release(Memory::Counted(bytes));
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  *address = made.address = PointerOf(memory);
  Driver::Get().memory.Add(made);
  return CUDA_SUCCESS;
}

// While nobody captures.
CUresult AllocateNow(std::size_t bytes, MemoryKind kind, unsigned flags, CUdeviceptr* address) {
  const CUresult safe = CheckUnsafe();
  return safe == CUDA_SUCCESS ? Allocate(bytes, kind, flags, address) : safe;
}

void Release(const Allocation& allocation) {
  if (allocation.on_device()) {
    allocation.context->device->timeline.Release(Memory::Counted(allocation.bytes));
  }
  Memory::Unmap(reinterpret_cast<void*>(allocation.address), allocation.bytes);
  Driver::Get().memory.Remove(allocation.address);
}

const Allocation* Find(const void* host) { return Driver::Get().memory.At(PointerOf(host)); }

// The allocation that begins there, of one of the kinds; nullptr otherwise.
const Allocation* Beginning(std::uintptr_t address, std::initializer_list<MemoryKind> kinds) {
  const Allocation* found = Driver::Get().memory.At(address);
  if (found == nullptr || found->address != address) return nullptr;
  return std::ranges::find(kinds, found->kind) == kinds.end() ? nullptr : found;
}

// As the real one does in practice: waits for what may still use it.
CUresult Free(std::uintptr_t address, std::initializer_list<MemoryKind> kinds) {
  STAGGER_CUDA_TRY(CheckUnsafe());
  if (address == 0) return CUDA_SUCCESS;
  const Allocation* there = Beginning(address, kinds);
  if (there == nullptr) return CUDA_ERROR_INVALID_VALUE;
  // Host memory may be in use on any.
  CUresult waited = CUDA_SUCCESS;
  SeenDevice* const on = there->on_device() ? there->context->device : nullptr;
  for (const auto& device : Driver::Get().devices) {
    if (on != nullptr && on != device.get()) continue;
    const CUresult ended = device->timeline.WaitForAll(Held());
    if (device.get() == on) waited = ended;
  }
  if (waited != CUDA_SUCCESS) return waited;
  const Allocation* found = Beginning(address, kinds);
  if (found == nullptr) return CUDA_ERROR_INVALID_VALUE;  // another thread was faster
  Release(*found);
  return CUDA_SUCCESS;
}

template <typename T>
CUresult Put(void* value, T what) {
  std::memcpy(value, &what, sizeof what);
  return CUDA_SUCCESS;
}

CUresult AttributeOf(void* value, CUpointer_attribute attribute, CUdeviceptr address) {
  const Allocation* found = Driver::Get().memory.At(address);
  if (value == nullptr || found == nullptr) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return Put(value, found->context);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      return Put(value, found->on_device() ? unsigned{CU_MEMORYTYPE_DEVICE}
                                           : unsigned{CU_MEMORYTYPE_HOST});
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      if (found->kind == MemoryKind::kDevice) return CUDA_ERROR_INVALID_VALUE;
      [[fallthrough]];
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      return Put(value, address);
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      return Put<unsigned>(value, found->kind == MemoryKind::kManaged ? 1 : 0);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return Put(value, found->context == nullptr ? 0 : found->context->device->ordinal);
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

// Keeps a place in the stream's order, and does nothing there.
CUresult EnqueueMarker(CUstream stream, std::function<void()> effect = nullptr) {
  STAGGER_CUDA_TRY(Driver::Get().Resolve(&stream));
  Task task = Marker(CU_GRAPH_NODE_TYPE_EMPTY);
  task.work.effect = std::move(effect);
  return Driver::Get().Enqueue(stream, std::move(task));
}

}  // namespace

CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  Facts facts;
  STAGGER_CUDA_TRY(context->device->timeline.Ask(Held(), &facts));
  const std::uint64_t here = facts.limit - facts.used_here;
  const std::uint64_t all = facts.total - facts.used;
  if (free_bytes != nullptr) *free_bytes = here < all ? here : all;
  if (total != nullptr) *total = facts.total;
  return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
  return AllocateNow(bytes, MemoryKind::kDevice, 0, address);
}
CUresult cuMemAllocPitch_v2(CUdeviceptr* address, size_t* pitch, size_t width, size_t height,
                            unsigned int) {
  if (pitch == nullptr || height == 0 || width > SIZE_MAX / 2 / height - 512) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *pitch = (width + 511) / 512 * 512;
  return cuMemAlloc_v2(address, *pitch * height);
}
CUresult cuMemAllocManaged(CUdeviceptr* address, size_t bytes, unsigned int flags) {
  if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST) return CUDA_ERROR_INVALID_VALUE;
  return AllocateNow(bytes, MemoryKind::kManaged, flags, address);
}
CUresult cuMemFree_v2(CUdeviceptr address) {
  return Free(address, {MemoryKind::kDevice, MemoryKind::kManaged});
}

CUresult cuMemAllocAsync(CUdeviceptr* address, size_t bytes, CUstream stream) {
  STAGGER_CUDA_TRY(Driver::Get().Resolve(&stream));
  // Graphs that own memory are not modelled.
  if (stream->capture != nullptr) {
    Invalidate(stream->capture);
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  const CUresult allocated = Allocate(bytes, MemoryKind::kDevice, 0, address);
  return allocated == CUDA_SUCCESS ? EnqueueMarker(stream) : allocated;
}
CUresult cuMemAllocFromPoolAsync(CUdeviceptr* address, size_t bytes, CUmemoryPool pool,
                                 CUstream stream) {
  if (!Alive(pool, Kind::kPool)) return CUDA_ERROR_INVALID_HANDLE;
  return cuMemAllocAsync(address, bytes, stream);
}
CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
  if (address == 0) return CUDA_SUCCESS;
  if (Beginning(address, {MemoryKind::kDevice}) == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return EnqueueMarker(stream, [address] {
    const Lock lock(Driver::Get().mutex);
    if (const Allocation* found = Beginning(address, {MemoryKind::kDevice})) Release(*found);
  });
}

CUresult cuMemPoolCreate(CUmemoryPool* pool, const CUmemPoolProps*) {
  if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *pool = new CUmemPoolHandle_st;
  return CUDA_SUCCESS;
}
CUresult cuMemPoolDestroy(CUmemoryPool pool) {
  const bool own = std::ranges::any_of(
      Driver::Get().devices, [pool](const auto& device) { return pool == &device->pool; });
  if (!Alive(pool, Kind::kPool) || own) return CUDA_ERROR_INVALID_VALUE;
  pool->kind = Kind::kDead;
  return CUDA_SUCCESS;
}
CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t) {
  return Alive(pool, Kind::kPool) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute, void* value) {
  return Alive(pool, Kind::kPool) && value != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base_address, size_t* bytes, CUdeviceptr address) {
  const Allocation* found = Driver::Get().memory.At(address);
  if (found == nullptr) return CUDA_ERROR_NOT_FOUND;
  if (base_address != nullptr) *base_address = found->address;
  if (bytes != nullptr) *bytes = found->bytes;
  return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void** host, size_t bytes, unsigned int flags) {
  CUdeviceptr address = 0;
  const CUresult allocated =
      AllocateNow(bytes, MemoryKind::kPinned, flags, host == nullptr ? nullptr : &address);
  if (allocated == CUDA_SUCCESS) *host = reinterpret_cast<void*>(address);
  return allocated;
}
CUresult cuMemAllocHost_v2(void** host, size_t bytes) { return cuMemHostAlloc(host, bytes, 0); }
CUresult cuMemFreeHost(void* host) { return Free(PointerOf(host), {MemoryKind::kPinned}); }

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* address, void* host, unsigned int) {
  if (address == nullptr || Find(host) == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *address = PointerOf(host);
  return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned int* flags, void* host) {
  if (flags == nullptr || Find(host) == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = Find(host)->flags;
  return CUDA_SUCCESS;
}

CUresult cuMemHostRegister_v2(void* host, size_t bytes, unsigned int flags) {
  if (host == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (Find(host) != nullptr) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  Driver::Get().memory.Add({PointerOf(host), bytes, MemoryKind::kRegistered, flags, Current()});
  return CUDA_SUCCESS;
}
CUresult cuMemHostUnregister(void* host) {
  if (Beginning(PointerOf(host), {MemoryKind::kRegistered}) == nullptr) {
    return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  }
  Driver::Get().memory.Remove(PointerOf(host));
  return CUDA_SUCCESS;
}

// Managed memory is one memory here: hints about where it should be change nothing.
CUresult cuMemPrefetchAsync(CUdeviceptr, size_t, CUdevice, CUstream stream) {
  return EnqueueMarker(stream);
}
CUresult cuMemPrefetchAsync_v2(CUdeviceptr, size_t, CUmemLocation, unsigned int, CUstream stream) {
  return EnqueueMarker(stream);
}
CUresult cuMemAdvise(CUdeviceptr, size_t, CUmem_advise, CUdevice) { return CUDA_SUCCESS; }
CUresult cuMemAdvise_v2(CUdeviceptr, size_t, CUmem_advise, CUmemLocation) { return CUDA_SUCCESS; }
CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr, size_t, unsigned int) {
  return EnqueueMarker(stream);
}

CUresult cuPointerGetAttribute(void* value, CUpointer_attribute attribute, CUdeviceptr address) {
  return AttributeOf(value, attribute, address);
}
CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute* attributes, void** values,
                                CUdeviceptr address) {
  if (attributes == nullptr || values == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i) AttributeOf(values[i], attributes[i], address);
  return CUDA_SUCCESS;
}

}  // namespace stagger::vgpu::api
