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

CUresult Allocate(Lock* lock, std::size_t bytes, MemoryKind kind, unsigned flags, void** address) {
  Driver& driver = Driver::Get();
  if (address == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const bool counts = kind == MemoryKind::kDevice || kind == MemoryKind::kManaged;
  Timeline& timeline = context->device->timeline;
  if (counts) {
    if (bytes > SIZE_MAX - 512) return CUDA_ERROR_OUT_OF_MEMORY;
    const CUresult reserved = timeline.Reserve(lock, Memory::Counted(bytes));
    if (reserved != CUDA_SUCCESS) return reserved;
  }
  *address = Memory::Map(bytes);
  if (*address == nullptr) {
    if (counts) timeline.Release(Memory::Counted(bytes));
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  driver.memory.Add({reinterpret_cast<std::uintptr_t>(*address), bytes, kind, flags, context});
  return CUDA_SUCCESS;
}

CUresult AllocateDevice(CUdeviceptr* address, std::size_t bytes, MemoryKind kind, unsigned flags) {
  if (address == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  if (const CUresult safe = CheckUnsafe(&driver); safe != CUDA_SUCCESS) return safe;
  void* memory = nullptr;
  const CUresult allocated = Allocate(&lock, bytes, kind, flags, &memory);
  if (allocated == CUDA_SUCCESS) *address = PointerOf(memory);
  return allocated;
}

void Release(Driver* driver, const Allocation& allocation) {
  if (allocation.on_device()) {
    allocation.context->device->timeline.Release(Memory::Counted(allocation.bytes));
  }
  Memory::Unmap(reinterpret_cast<void*>(allocation.address), allocation.bytes);
  driver->memory.Remove(allocation.address);
}

// The allocation that begins there, of one of the kinds; nullptr otherwise.
const Allocation* Beginning(Driver* driver, std::uintptr_t address,
                            std::initializer_list<MemoryKind> kinds) {
  const Allocation* found = driver->memory.At(address);
  if (found == nullptr || found->address != address) return nullptr;
  for (const MemoryKind kind : kinds) {
    if (found->kind == kind) return found;
  }
  return nullptr;
}

// As the real one does in practice: waits for what may still use it.
CUresult Free(std::uintptr_t address, std::initializer_list<MemoryKind> kinds) {
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  if (const CUresult safe = CheckUnsafe(&driver); safe != CUDA_SUCCESS) return safe;
  if (address == 0) return CUDA_SUCCESS;
  const Allocation* there = Beginning(&driver, address, kinds);
  if (there == nullptr) return CUDA_ERROR_INVALID_VALUE;
  // Host memory may be in use on any.
  CUresult waited = CUDA_SUCCESS;
  SeenDevice* const on = there->on_device() ? there->context->device : nullptr;
  for (const auto& device : driver.devices) {
    if (on != nullptr && on != device.get()) continue;
    const CUresult ended = device->timeline.WaitForAll(&lock);
    if (device.get() == on) waited = ended;
  }
  if (waited != CUDA_SUCCESS) return waited;
  const Allocation* found = Beginning(&driver, address, kinds);
  if (found == nullptr) return CUDA_ERROR_INVALID_VALUE;  // another thread was faster
  Release(&driver, *found);
  return CUDA_SUCCESS;
}

CUresult AttributeOf(void* value, CUpointer_attribute attribute, CUdeviceptr address) {
  Driver& driver = Driver::Get();
  const Allocation* found = driver.memory.At(address);
  if (value == nullptr || found == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const bool device = found->on_device();
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      *static_cast<CUcontext*>(value) = found->context;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: {
      const unsigned type = device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
      std::memcpy(value, &type, sizeof type);
      return CUDA_SUCCESS;
    }
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      if (found->kind == MemoryKind::kDevice) return CUDA_ERROR_INVALID_VALUE;
      [[fallthrough]];
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      std::memcpy(value, &address, sizeof address);
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: {
      const unsigned managed = found->kind == MemoryKind::kManaged ? 1 : 0;
      std::memcpy(value, &managed, sizeof managed);
      return CUDA_SUCCESS;
    }
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: {
      const int ordinal = found->context == nullptr ? 0 : found->context->device->ordinal;
      std::memcpy(value, &ordinal, sizeof ordinal);
      return CUDA_SUCCESS;
    }
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

// Keeps a place in the stream's order, and does nothing there.
CUresult EnqueueMarker(CUstream handle, std::function<void()> effect = nullptr) {
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  CUresult error;
  CUstream stream = driver.Resolve(handle, &error);
  if (stream == nullptr) return error;
  Task task;
  task.type = CU_GRAPH_NODE_TYPE_EMPTY;
  task.work.record.kind = OpKind::kMarker;
  task.work.effect = std::move(effect);
  return driver.Enqueue(stream, std::move(task));
}

}  // namespace

CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  Facts facts;
  const CUresult asked = context->device->timeline.Ask(&lock, &facts);
  if (asked != CUDA_SUCCESS) return asked;
  const std::uint64_t here = facts.limit - facts.used_here;
  const std::uint64_t all = facts.total - facts.used;
  if (free_bytes != nullptr) *free_bytes = here < all ? here : all;
  if (total != nullptr) *total = facts.total;
  return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
  return AllocateDevice(address, bytes, MemoryKind::kDevice, 0);
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
  return AllocateDevice(address, bytes, MemoryKind::kManaged, flags);
}
CUresult cuMemFree_v2(CUdeviceptr address) {
  return Free(address, {MemoryKind::kDevice, MemoryKind::kManaged});
}

CUresult cuMemAllocAsync(CUdeviceptr* address, size_t bytes, CUstream stream) {
  if (address == nullptr) return CUDA_ERROR_INVALID_VALUE;
  {
    Driver& driver = Driver::Get();
    Lock lock(driver.mutex);
    CUresult error;
    CUstream resolved = driver.Resolve(stream, &error);
    if (resolved == nullptr) return error;
    // Graphs that own memory are not modelled.
    if (resolved->capture != nullptr) {
      Invalidate(resolved->capture);
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    void* memory = nullptr;
    const CUresult allocated = Allocate(&lock, bytes, MemoryKind::kDevice, 0, &memory);
    if (allocated != CUDA_SUCCESS) return allocated;
    *address = PointerOf(memory);
  }
  return EnqueueMarker(stream);
}
CUresult cuMemAllocFromPoolAsync(CUdeviceptr* address, size_t bytes, CUmemoryPool pool,
                                 CUstream stream) {
  if (!Alive(pool, Kind::kPool)) return CUDA_ERROR_INVALID_HANDLE;
  return cuMemAllocAsync(address, bytes, stream);
}
CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
  if (address == 0) return CUDA_SUCCESS;
  {
    Driver& driver = Driver::Get();
    const Lock lock(driver.mutex);
    if (Beginning(&driver, address, {MemoryKind::kDevice}) == nullptr) {
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  return EnqueueMarker(stream, [address] {
    Driver& driver = Driver::Get();
    const Lock lock(driver.mutex);
    if (const Allocation* found = Beginning(&driver, address, {MemoryKind::kDevice})) {
      Release(&driver, *found);
    }
  });
}

CUresult cuMemPoolCreate(CUmemoryPool* pool, const CUmemPoolProps*) {
  if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *pool = new CUmemPoolHandle_st;
  return CUDA_SUCCESS;
}
CUresult cuMemPoolDestroy(CUmemoryPool pool) {
  const Lock lock(Driver::Get().mutex);
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
CUresult cuMemPoolGetAttribute(CUmemoryPool, CUmemPool_attribute, void*) {
  return CUDA_ERROR_NOT_SUPPORTED;  // nothing is pooled
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base_address, size_t* bytes, CUdeviceptr address) {
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  const Allocation* found = driver.memory.At(address);
  if (found == nullptr) return CUDA_ERROR_NOT_FOUND;
  if (base_address != nullptr) *base_address = found->address;
  if (bytes != nullptr) *bytes = found->bytes;
  return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void** host, size_t bytes, unsigned int flags) {
  Driver& driver = Driver::Get();
  Lock lock(driver.mutex);
  if (const CUresult safe = CheckUnsafe(&driver); safe != CUDA_SUCCESS) return safe;
  return Allocate(&lock, bytes, MemoryKind::kPinned, flags, host);
}
CUresult cuMemAllocHost_v2(void** host, size_t bytes) { return cuMemHostAlloc(host, bytes, 0); }
CUresult cuMemFreeHost(void* host) {
  return Free(reinterpret_cast<std::uintptr_t>(host), {MemoryKind::kPinned});
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* address, void* host, unsigned int) {
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  const Allocation* found = driver.memory.At(reinterpret_cast<std::uintptr_t>(host));
  if (address == nullptr || found == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *address = PointerOf(host);
  return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned int* flags, void* host) {
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  const Allocation* found = driver.memory.At(reinterpret_cast<std::uintptr_t>(host));
  if (flags == nullptr || found == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = found->flags;
  return CUDA_SUCCESS;
}

CUresult cuMemHostRegister_v2(void* host, size_t bytes, unsigned int flags) {
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  const auto address = reinterpret_cast<std::uintptr_t>(host);
  if (host == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (driver.memory.At(address) != nullptr) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  driver.memory.Add({address, bytes, MemoryKind::kRegistered, flags, Current()});
  return CUDA_SUCCESS;
}
CUresult cuMemHostUnregister(void* host) {
  Driver& driver = Driver::Get();
  const Lock lock(driver.mutex);
  const auto address = reinterpret_cast<std::uintptr_t>(host);
  if (Beginning(&driver, address, {MemoryKind::kRegistered}) == nullptr) {
    return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  }
  driver.memory.Remove(address);
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
  const Lock lock(Driver::Get().mutex);
  return AttributeOf(value, attribute, address);
}
CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute* attributes, void** values,
                                CUdeviceptr address) {
  const Lock lock(Driver::Get().mutex);
  if (attributes == nullptr || values == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i) AttributeOf(values[i], attributes[i], address);
  return CUDA_SUCCESS;
}

}  // namespace stagger::vgpu::api
