// Entry, errors and devices: those that the process sees, by their number among them.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/driver.h"

namespace stagger::vgpu::api {
namespace {

CUresult CheckDevice(const void* out, CUdevice device) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Driver::Get().Device(device) != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

const Welcome& About(CUdevice device) { return Driver::Get().Device(device)->about; }

// Buses in the order of NVML's numbers.
std::string BusIdOf(const SeenDevice& device) {
  char id[16];
  std::snprintf(id, sizeof id, "0000:%02X:1E.0", device.number);
  return id;
}

struct ResultText {
  CUresult result;
  const char* name;
  const char* text;
};
constexpr ResultText kResults[] = {
#define STAGGER_RESULT_ROW(name, value, text) {name, #name, text},
    STAGGER_CUDA_RESULTS(STAGGER_RESULT_ROW)
#undef STAGGER_RESULT_ROW
};

CUresult TextOf(CUresult error, const char** text, const char* ResultText::*field) {
  if (text == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto* found = std::ranges::find(kResults, error, &ResultText::result);
  *text = found == std::end(kResults) ? nullptr : found->*field;
  return *text != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// Figures of a T4, where a program may size its launches by them.
int AttributeOf(CUdevice_attribute attribute, const SeenDevice& device) {
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
      return 1024;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z:
      return 64;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X:
      return 0x7fffffff;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z:
      return 65535;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK:
      return 48 * 1024;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE:
      return 32;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
      return static_cast<int>(1590000 * device.about.speed);
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
      return 40;
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
      return 2;
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
      return static_cast<int>(device.number);
    case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
      return 0x1e;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
      return 7;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
      return 5;
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS:
    case CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH:
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
      return 1;
    default:
      return 0;  // it has not got that
  }
}

}  // namespace

CUresult cuInit(unsigned int flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return Driver::Get().Init();
}

CUresult cuDriverGetVersion(int* version) {
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *version = STAGGER_CUDA_VERSION;
  return CUDA_SUCCESS;
}

// The driver's private tables are no public interface, and this is no NVIDIA driver: it has none.
CUresult cuGetExportTable(const void** table, const CUuuid* id) {
  if (table == nullptr || id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *table = nullptr;
  return CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetErrorName(CUresult error, const char** text) {
  return TextOf(error, text, &ResultText::name);
}
CUresult cuGetErrorString(CUresult error, const char** text) {
  return TextOf(error, text, &ResultText::text);
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  const CUresult checked = CheckDevice(device, ordinal);
  if (checked == CUDA_SUCCESS) *device = ordinal;
  return checked;
}

CUresult cuDeviceGetCount(int* count) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *count = static_cast<int>(Driver::Get().devices.size());
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  if (length <= 0) return CUDA_ERROR_INVALID_VALUE;
  STAGGER_CUDA_TRY(CheckDevice(name, device));
  std::snprintf(name, static_cast<std::size_t>(length), "%s", About(device).name);
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  const CUresult checked = CheckDevice(uuid, device);
  if (checked == CUDA_SUCCESS) {
    std::memcpy(uuid->bytes, About(device).uuid, sizeof uuid->bytes);
  }
  return checked;
}
CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) { return cuDeviceGetUuid(uuid, device); }

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  const CUresult checked = CheckDevice(bytes, device);
  if (checked == CUDA_SUCCESS) *bytes = About(device).memory;
  return checked;
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  const CUresult checked = CheckDevice(value, device);
  if (checked == CUDA_SUCCESS) *value = AttributeOf(attribute, *Driver::Get().Device(device));
  return checked;
}

CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
  if (minor == nullptr) return CUDA_ERROR_INVALID_VALUE;
  STAGGER_CUDA_TRY(CheckDevice(major, device));
  const SeenDevice& seen = *Driver::Get().Device(device);
  *major = AttributeOf(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, seen);
  *minor = AttributeOf(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, seen);
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char* id, int length, CUdevice device) {
  if (length <= 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult checked = CheckDevice(id, device);
  if (checked == CUDA_SUCCESS) {
    std::snprintf(id, static_cast<std::size_t>(length), "%s",
                  BusIdOf(*Driver::Get().Device(device)).c_str());
  }
  return checked;
}

CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* id) {
  if (device == nullptr || id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (const auto& each : Driver::Get().devices) {
    if (BusIdOf(*each) != id) continue;
    *device = each->ordinal;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_DEVICE;
}

// None sees another's memory.
CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  if (Driver::Get().Device(peer) == nullptr) return CUDA_ERROR_INVALID_DEVICE;
  const CUresult checked = CheckDevice(can, device);
  if (checked == CUDA_SUCCESS) *can = 0;
  return checked;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* pool, CUdevice device) {
  const CUresult checked = CheckDevice(pool, device);
  if (checked == CUDA_SUCCESS) *pool = &Driver::Get().Device(device)->pool;
  return checked;
}
CUresult cuDeviceGetMemPool(CUmemoryPool* pool, CUdevice device) {
  return cuDeviceGetDefaultMemPool(pool, device);
}

}  // namespace stagger::vgpu::api
