// Copies and fills. Data moves in this process when the server says that the time for it is over.
// As with the real driver, what an app hands over in pageable memory is read before the call
// returns, and a copy into pageable memory is waited for.
#include <cstring>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/driver.h"

namespace stagger::vgpu::api {
namespace {

// Rows of bytes in planes.
struct Box {
  std::byte* to = nullptr;
  const std::byte* from = nullptr;
  std::size_t width = 0;
  std::size_t height = 1;
  std::size_t depth = 1;
  std::size_t to_pitch = 0;
  std::size_t from_pitch = 0;
  std::size_t to_plane = 0;
  std::size_t from_plane = 0;

  std::size_t bytes() const { return width * height * depth; }
  std::size_t to_reach() const { return Reach(to_pitch, to_plane); }
  std::size_t from_reach() const { return Reach(from_pitch, from_plane); }
  void Copy() const {
    for (std::size_t z = 0; z < depth; ++z) {
      for (std::size_t y = 0; y < height; ++y) {
        std::memmove(to + z * to_plane + y * to_pitch, from + z * from_plane + y * from_pitch,
                     width);
      }
    }
  }

 private:
  std::size_t Reach(std::size_t pitch, std::size_t plane) const {
    return bytes() == 0 ? 0 : (depth - 1) * plane + (height - 1) * pitch + width;
  }
};

// Where one end of a copy lies. Told by the call, or found by the address.
enum class Side : std::uint8_t { kHost, kDevice, kEither };

bool IsDevice(const Driver& driver, Side side, std::uintptr_t address) {
  if (side != Side::kEither) return side == Side::kDevice;
  const Allocation* found = driver.memory.At(address);
  return found != nullptr && found->on_device();
}

CUresult Copy(const Box& box, Side to_side, Side from_side, CUstream stream, bool wait) {
  Driver& driver = Driver::Get();
  STAGGER_CUDA_TRY(driver.Resolve(&stream));
  if (box.bytes() == 0) return CUDA_SUCCESS;
  const auto to = reinterpret_cast<std::uintptr_t>(box.to);
  const auto from = reinterpret_cast<std::uintptr_t>(box.from);
  const bool to_device = IsDevice(driver, to_side, to);
  const bool from_device = IsDevice(driver, from_side, from);
  if ((to_device && !driver.memory.Usable(to, box.to_reach())) ||
      (from_device && !driver.memory.Usable(from, box.from_reach())) || to == 0 || from == 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Task task;
  task.type = CU_GRAPH_NODE_TYPE_MEMCPY;
  task.work.record.kind = to_device && !from_device   ? OpKind::kCopyHtoD
                          : from_device && !to_device ? OpKind::kCopyDtoH
                                                      : OpKind::kCopyDtoD;
  task.work.record.bytes = box.bytes();
  const bool pageable_from = !from_device && driver.memory.At(from) == nullptr;
  const bool pageable_to = !to_device && driver.memory.At(to) == nullptr;
  if (wait) {
    task.work.effect = [box] { box.Copy(); };
    return driver.EnqueueAndWait(stream, std::move(task));
  }
  if (pageable_from && stream->capture == nullptr) {
    auto staged = std::make_shared<std::vector<std::byte>>(box.from, box.from + box.from_reach());
    task.work.effect = [box, staged] {
      Box copy = box;
      copy.from = staged->data();
      copy.Copy();
    };
  } else {
    task.work.effect = [box] { box.Copy(); };
  }
  const CUresult error = driver.Enqueue(stream, std::move(task));
  if (error != CUDA_SUCCESS || !pageable_to || stream->capture != nullptr) return error;
  return stream->context->device->timeline.Wait(Held(), {stream->queue->tail});
}

CUdeviceptr PointerOf(CUdeviceptr device) { return device; }
CUdeviceptr PointerOf(const void* host) { return reinterpret_cast<std::uintptr_t>(host); }

template <typename To, typename From>
Box Row(To to, From from, std::size_t bytes) {
  Box box;
  box.to = reinterpret_cast<std::byte*>(PointerOf(to));
  box.from = reinterpret_cast<const std::byte*>(PointerOf(from));
  box.width = bytes;
  return box;
}

// One end of a 2D or 3D copy. False: an array, which there are none of.
bool SideOf(CUmemorytype type, const void* host, CUdeviceptr device, CUdeviceptr* address,
            Side* side) {
  if (type != CU_MEMORYTYPE_HOST && type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_UNIFIED) {
    return false;
  }
  *side = type == CU_MEMORYTYPE_HOST     ? Side::kHost
          : type == CU_MEMORYTYPE_DEVICE ? Side::kDevice
                                         : Side::kEither;
  *address = type == CU_MEMORYTYPE_HOST ? PointerOf(host) : device;
  return true;
}

CUresult Copy3D(const CUDA_MEMCPY3D& copy, CUstream stream, bool wait) {
  CUdeviceptr to = 0;
  CUdeviceptr from = 0;
  Side to_side{};
  Side from_side{};
  if (!SideOf(copy.dstMemoryType, copy.dstHost, copy.dstDevice, &to, &to_side) ||
      !SideOf(copy.srcMemoryType, copy.srcHost, copy.srcDevice, &from, &from_side)) {
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  Box box;
  box.width = copy.WidthInBytes;
  box.height = copy.Height;
  box.depth = copy.Depth;
  box.to_pitch = copy.dstPitch != 0 ? copy.dstPitch : copy.WidthInBytes;
  box.from_pitch = copy.srcPitch != 0 ? copy.srcPitch : copy.WidthInBytes;
  box.to_plane = box.to_pitch * (copy.dstHeight != 0 ? copy.dstHeight : copy.Height);
  box.from_plane = box.from_pitch * (copy.srcHeight != 0 ? copy.srcHeight : copy.Height);
  if (box.to_pitch < box.width || box.from_pitch < box.width) return CUDA_ERROR_INVALID_VALUE;
  box.to = reinterpret_cast<std::byte*>(to) + copy.dstZ * box.to_plane + copy.dstY * box.to_pitch +
           copy.dstXInBytes;
  box.from = reinterpret_cast<const std::byte*>(from) + copy.srcZ * box.from_plane +
             copy.srcY * box.from_pitch + copy.srcXInBytes;
  return Copy(box, to_side, from_side, stream, wait);
}

CUresult Copy2D(const CUDA_MEMCPY2D* copy, CUstream stream, bool wait) {
  if (copy == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUDA_MEMCPY3D box{};
  box.srcXInBytes = copy->srcXInBytes;
  box.srcY = copy->srcY;
  box.srcMemoryType = copy->srcMemoryType;
  box.srcHost = copy->srcHost;
  box.srcDevice = copy->srcDevice;
  box.srcPitch = copy->srcPitch;
  box.dstXInBytes = copy->dstXInBytes;
  box.dstY = copy->dstY;
  box.dstMemoryType = copy->dstMemoryType;
  box.dstHost = copy->dstHost;
  box.dstDevice = copy->dstDevice;
  box.dstPitch = copy->dstPitch;
  box.WidthInBytes = copy->WidthInBytes;
  box.Height = copy->Height;
  box.Depth = 1;
  return Copy3D(box, stream, wait);
}

CUresult CheckPeers(CUcontext to, CUcontext from) {
  if (!Alive(to, Kind::kContext) || !Alive(from, Kind::kContext)) {
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  return to->device == from->device ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

template <typename T>
CUresult Fill(CUdeviceptr to, std::size_t pitch, T value, std::size_t width, std::size_t height,
              CUstream stream, bool wait) {
  Driver& driver = Driver::Get();
  STAGGER_CUDA_TRY(driver.Resolve(&stream));
  if (width == 0 || height == 0) return CUDA_SUCCESS;
  const std::size_t reach = (height - 1) * pitch + width * sizeof(T);
  if (to % sizeof(T) != 0 || !driver.memory.Usable(to, reach)) return CUDA_ERROR_INVALID_VALUE;
  Task task;
  task.type = CU_GRAPH_NODE_TYPE_MEMSET;
  task.work.record.kind = OpKind::kMemset;
  task.work.record.bytes = width * sizeof(T) * height;
  task.work.effect = [=] {
    for (std::size_t y = 0; y < height; ++y) {
      T* row = reinterpret_cast<T*>(to + y * pitch);
      for (std::size_t x = 0; x < width; ++x) row[x] = value;
    }
  };
  return wait ? driver.EnqueueAndWait(stream, std::move(task))
              : driver.Enqueue(stream, std::move(task));
}

}  // namespace

// A direction's two calls: the one that waits, and the one in a stream.
#define STAGGER_COPY(name, suffix, To, From, to_side, from_side)                      \
  CUresult name##suffix(To to, From from, size_t bytes) {                             \
    return Copy(Row(to, from, bytes), Side::to_side, Side::from_side, nullptr, true); \
  }                                                                                   \
  CUresult name##Async##suffix(To to, From from, size_t bytes, CUstream stream) {     \
    return Copy(Row(to, from, bytes), Side::to_side, Side::from_side, stream, false); \
  }
STAGGER_COPY(cuMemcpy, , CUdeviceptr, CUdeviceptr, kEither, kEither)
STAGGER_COPY(cuMemcpyHtoD, _v2, CUdeviceptr, const void*, kDevice, kHost)
STAGGER_COPY(cuMemcpyDtoH, _v2, void*, CUdeviceptr, kHost, kDevice)
STAGGER_COPY(cuMemcpyDtoD, _v2, CUdeviceptr, CUdeviceptr, kDevice, kDevice)
#undef STAGGER_COPY

// A peer is another context on the same device.
CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                      CUcontext from_context, size_t bytes) {
  const CUresult peers = CheckPeers(to_context, from_context);
  return peers == CUDA_SUCCESS ? cuMemcpyDtoD_v2(to, from, bytes) : peers;
}
CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                           CUcontext from_context, size_t bytes, CUstream stream) {
  const CUresult peers = CheckPeers(to_context, from_context);
  return peers == CUDA_SUCCESS ? cuMemcpyDtoDAsync_v2(to, from, bytes, stream) : peers;
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* copy) { return Copy2D(copy, nullptr, true); }
CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* copy) { return Copy2D(copy, nullptr, true); }
CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* copy, CUstream stream) {
  return Copy2D(copy, stream, false);
}
CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D* copy) {
  return copy == nullptr ? CUDA_ERROR_INVALID_VALUE : Copy3D(*copy, nullptr, true);
}
CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D* copy, CUstream stream) {
  return copy == nullptr ? CUDA_ERROR_INVALID_VALUE : Copy3D(*copy, stream, false);
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr* to, CUdeviceptr* from, size_t* sizes, size_t count,
                               CUmemcpyAttributes*, size_t*, size_t, CUstream stream) {
  if (to == nullptr || from == nullptr || sizes == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (std::size_t i = 0; i < count; ++i) {
    STAGGER_CUDA_TRY(cuMemcpyAsync(to[i], from[i], sizes[i], stream));
  }
  return CUDA_SUCCESS;
}
CUresult cuMemcpyBatchAsync(CUdeviceptr* to, CUdeviceptr* from, size_t* sizes, size_t count,
                            CUmemcpyAttributes* attributes, size_t* attribute_of,
                            size_t attribute_count, size_t* failed, CUstream stream) {
  if (failed != nullptr) *failed = SIZE_MAX;  // no single one of them
  return cuMemcpyBatchAsync_v2(to, from, sizes, count, attributes, attribute_of, attribute_count,
                               stream);
}

// The four fills with words of one size.
#define STAGGER_FILL(bits, T)                                                               \
  CUresult cuMemsetD##bits##_v2(CUdeviceptr to, T value, size_t count) {                    \
    return Fill(to, 0, value, count, 1, nullptr, true);                                     \
  }                                                                                         \
  CUresult cuMemsetD##bits##Async(CUdeviceptr to, T value, size_t count, CUstream stream) { \
    return Fill(to, 0, value, count, 1, stream, false);                                     \
  }                                                                                         \
  CUresult cuMemsetD2D##bits##_v2(CUdeviceptr to, size_t pitch, T value, size_t width,      \
                                  size_t height) {                                          \
    return Fill(to, pitch, value, width, height, nullptr, true);                            \
  }                                                                                         \
  CUresult cuMemsetD2D##bits##Async(CUdeviceptr to, size_t pitch, T value, size_t width,    \
                                    size_t height, CUstream stream) {                       \
    return Fill(to, pitch, value, width, height, stream, false);                            \
  }
STAGGER_FILL(8, unsigned char)
STAGGER_FILL(16, unsigned short)
STAGGER_FILL(32, unsigned int)
#undef STAGGER_FILL

}  // namespace stagger::vgpu::api
