// libnvidia-ml.so.1 for the virtual GPUs: what their server knows of them. Every question is a
// short connection of its own, so there is no state but whether NVML is initialised, and any thread
// may ask at any time. A device that is lost keeps its number, and every question about it is
// answered with NVML_ERROR_GPU_IS_LOST. Nothing here prints or throws.
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cuda/driver_types.h"
#include "cuda/nvml_types.h"
#include "lab/vgpu/connect.h"
#include "lab/vgpu/device_list.h"

#define STAGGER_EXPORT extern "C" __attribute__((visibility("default")))

struct nvmlDevice_st {};

namespace stagger::vgpu {
namespace {

constexpr const char* kDriverVersion = "580.0-stagger";
constexpr const char* kNvmlVersion = "13.580.0-stagger";

std::atomic<int> initialized{0};
nvmlDevice_st handles[kMostDevices];  // one per device, by number

struct Answered {
  Welcome about;
  Facts facts;
  std::vector<ProcessFacts> processes;
};

const char* Path() {
  const char* path = std::getenv(kSocketVariable);
  return path == nullptr ? "" : path;
}

// How many there are, lost ones too.
nvmlReturn_t Count(unsigned* count) {
  if (initialized.load() <= 0) return NVML_ERROR_UNINITIALIZED;
  Hello hello;
  hello.observer = true;
  Welcome welcome;
  if (!Connect(Path(), hello, &welcome).valid()) return NVML_ERROR_GPU_IS_LOST;
  *count = std::min(welcome.devices, kMostDevices);
  return NVML_SUCCESS;
}

unsigned NumberOf(nvmlDevice_t device) { return static_cast<unsigned>(device - handles); }

bool IsHandle(nvmlDevice_t device) {
  return std::any_of(std::begin(handles), std::end(handles),
                     [device](const nvmlDevice_st& each) { return &each == device; });
}

nvmlReturn_t Ask(unsigned number, Answered* answered) {
  Hello hello;
  hello.observer = true;
  hello.device = number;
  const UniqueFd fd = Connect(Path(), hello, &answered->about);
  const Amount ask{Type::kAsk, 1, 0};
  if (!fd.valid() || answered->about.lost || send(fd.get(), &ask, sizeof ask, MSG_NOSIGNAL) < 0) {
    return NVML_ERROR_GPU_IS_LOST;
  }
  std::vector<std::byte> packet(kMaxPacket);
  ssize_t size;
  do {
    size = recv(fd.get(), packet.data(), packet.size(), 0);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return NVML_ERROR_GPU_IS_LOST;
  PacketReader reader(std::span(packet.data(), static_cast<std::size_t>(size)));
  if (!reader.Get(&answered->facts) || answered->facts.type != Type::kFacts) {
    return NVML_ERROR_UNKNOWN;
  }
  ProcessFacts process;
  while (reader.Get(&process)) answered->processes.push_back(process);
  return NVML_SUCCESS;
}

// Asks about the device that a handle means.
nvmlReturn_t AskOf(nvmlDevice_t device, const void* out, Answered* answered) {
  if (initialized.load() <= 0) return NVML_ERROR_UNINITIALIZED;
  if (!IsHandle(device) || out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return Ask(NumberOf(device), answered);
}

nvmlReturn_t Write(const char* text, char* out, unsigned length) {
  if (out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (std::strlen(text) >= length) return NVML_ERROR_INSUFFICIENT_SIZE;
  std::strcpy(out, text);
  return NVML_SUCCESS;
}

template <typename T>
nvmlReturn_t Processes(nvmlDevice_t device, unsigned* count, T* infos) {
  Answered answered;
  const nvmlReturn_t asked = AskOf(device, count, &answered);
  if (asked != NVML_SUCCESS) return asked;
  const auto there = static_cast<unsigned>(answered.processes.size());
  const unsigned room = *count;
  *count = there;
  if (there == 0) return NVML_SUCCESS;
  if (infos == nullptr || room < there) return NVML_ERROR_INSUFFICIENT_SIZE;
  for (unsigned i = 0; i < there; ++i) {
    infos[i] = T{};
    infos[i].pid = static_cast<unsigned>(answered.processes[i].pid);
    infos[i].usedGpuMemory = answered.processes[i].used;
    if constexpr (requires { infos[i].gpuInstanceId; }) {
      infos[i].gpuInstanceId = infos[i].computeInstanceId = ~0u;  // not partitioned
    }
  }
  return NVML_SUCCESS;
}

}  // namespace
}  // namespace stagger::vgpu

using stagger::vgpu::Answered;
using stagger::vgpu::AskOf;
using stagger::vgpu::Count;
using stagger::vgpu::handles;
using stagger::vgpu::initialized;
using stagger::vgpu::IsHandle;
using stagger::vgpu::NumberOf;

STAGGER_EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int) {
  initialized.fetch_add(1);
  unsigned count = 0;
  if (Count(&count) == NVML_SUCCESS) return NVML_SUCCESS;
  initialized.fetch_sub(1);
  return NVML_ERROR_DRIVER_NOT_LOADED;
}
STAGGER_EXPORT nvmlReturn_t nvmlInit_v2() { return nvmlInitWithFlags(0); }
STAGGER_EXPORT nvmlReturn_t nvmlInit() { return nvmlInitWithFlags(0); }

STAGGER_EXPORT nvmlReturn_t nvmlShutdown() {
  if (initialized.load() <= 0) return NVML_ERROR_UNINITIALIZED;
  initialized.fetch_sub(1);
  return NVML_SUCCESS;
}

STAGGER_EXPORT const char* nvmlErrorString(nvmlReturn_t result) {
  switch (result) {
    case NVML_SUCCESS:
      return "no error";
    case NVML_ERROR_UNINITIALIZED:
      return "NVML has not been initialised";
    case NVML_ERROR_INVALID_ARGUMENT:
      return "invalid argument";
    case NVML_ERROR_NOT_SUPPORTED:
      return "not supported";
    case NVML_ERROR_NO_PERMISSION:
      return "no permission";
    case NVML_ERROR_NOT_FOUND:
      return "not found";
    case NVML_ERROR_INSUFFICIENT_SIZE:
      return "the buffer is too small";
    case NVML_ERROR_DRIVER_NOT_LOADED:
      return "no driver is there";
    case NVML_ERROR_GPU_IS_LOST:
      return "the GPU does not answer";
    case NVML_ERROR_ARGUMENT_VERSION_MISMATCH:
      return "the argument's version is not known";
    case NVML_ERROR_UNKNOWN:
      break;
  }
  return "unknown error";
}

STAGGER_EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char* version, unsigned int length) {
  if (initialized.load() <= 0) return NVML_ERROR_UNINITIALIZED;
  return stagger::vgpu::Write(stagger::vgpu::kDriverVersion, version, length);
}
STAGGER_EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char* version, unsigned int length) {
  return stagger::vgpu::Write(stagger::vgpu::kNvmlVersion, version, length);
}
STAGGER_EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int* version) {
  if (version == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *version = STAGGER_CUDA_VERSION;
  return NVML_SUCCESS;
}
STAGGER_EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int* version) {
  return nvmlSystemGetCudaDriverVersion(version);
}

STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int* count) {
  return count == nullptr ? NVML_ERROR_INVALID_ARGUMENT : Count(count);
}
STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetCount(unsigned int* count) {
  return nvmlDeviceGetCount_v2(count);
}

STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index,
                                                          nvmlDevice_t* device) {
  unsigned count = 0;
  const nvmlReturn_t counted = Count(&count);
  if (counted != NVML_SUCCESS) return counted;
  if (index >= count || device == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  Answered answered;
  const nvmlReturn_t asked = stagger::vgpu::Ask(index, &answered);
  if (asked == NVML_SUCCESS) *device = &handles[index];
  return asked;
}
STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t* device) {
  return nvmlDeviceGetHandleByIndex_v2(index, device);
}

STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid,
                                              unsigned int length) {
  Answered answered;
  const nvmlReturn_t asked = AskOf(device, uuid, &answered);
  if (asked != NVML_SUCCESS) return asked;
  return stagger::vgpu::Write(stagger::vgpu::UuidText(answered.about).c_str(), uuid, length);
}

STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device) {
  if (uuid == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  unsigned count = 0;
  const nvmlReturn_t counted = Count(&count);
  if (counted != NVML_SUCCESS) return counted;
  const auto devices = stagger::vgpu::ListDevices(stagger::vgpu::Path());
  for (unsigned i = 0; i < devices.size(); ++i) {
    if (stagger::vgpu::UuidText(devices[i]) == uuid)
      return nvmlDeviceGetHandleByIndex_v2(i, device);
  }
  return NVML_ERROR_NOT_FOUND;
}

STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int* index) {
  if (initialized.load() <= 0) return NVML_ERROR_UNINITIALIZED;
  if (!IsHandle(device) || index == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *index = NumberOf(device);
  return NVML_SUCCESS;
}

STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char* name,
                                              unsigned int length) {
  Answered answered;
  const nvmlReturn_t asked = AskOf(device, name, &answered);
  return asked != NVML_SUCCESS ? asked : stagger::vgpu::Write(answered.about.name, name, length);
}

STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  Answered answered;
  const nvmlReturn_t asked = AskOf(device, memory, &answered);
  if (asked != NVML_SUCCESS) return asked;
  const auto& facts = answered.facts;
  *memory = {facts.total, facts.total - facts.used, facts.used};
  return NVML_SUCCESS;
}

STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device,
                                                       nvmlMemory_v2_t* memory) {
  if (memory == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (memory->version != STAGGER_NVML_MEMORY_V2) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  nvmlMemory_t plain;
  const nvmlReturn_t asked = nvmlDeviceGetMemoryInfo(device, &plain);
  if (asked != NVML_SUCCESS) return asked;
  *memory = {memory->version, plain.total, 0, plain.free, plain.used};
  return NVML_SUCCESS;
}

STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device,
                                                          nvmlUtilization_t* utilization) {
  Answered answered;
  const nvmlReturn_t asked = AskOf(device, utilization, &answered);
  if (asked != NVML_SUCCESS) return asked;
  *utilization = {answered.facts.busy_percent, 0};
  return NVML_SUCCESS;
}

STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device,
                                                                 unsigned int* count,
                                                                 nvmlProcessInfo_v1_t* infos) {
  return stagger::vgpu::Processes(device, count, infos);
}
STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device,
                                                                    unsigned int* count,
                                                                    nvmlProcessInfo_v2_t* infos) {
  return stagger::vgpu::Processes(device, count, infos);
}
STAGGER_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device,
                                                                    unsigned int* count,
                                                                    nvmlProcessInfo_v2_t* infos) {
  return stagger::vgpu::Processes(device, count, infos);
}
