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
#include <utility>
#include <vector>

#include "cuda/driver_types.h"
#include "cuda/nvml_types.h"
#include "lab/vgpu/device_list.h"

// Of C, so the name alone counts, whatever namespace the function is in.
#define STAGGER_NVML extern "C" __attribute__((visibility("default"))) nvmlReturn_t

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
  const Note ask{Type::kAsk, 1};
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

// Asks about the device that a handle means, and makes of the answer what goes to `out`.
template <typename Use>
nvmlReturn_t AnswerOf(nvmlDevice_t device, const void* out, Use use) {
  if (initialized.load() <= 0) return NVML_ERROR_UNINITIALIZED;
  if (!IsHandle(device) || out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  Answered answered;
  const nvmlReturn_t asked = Ask(NumberOf(device), &answered);
  return asked == NVML_SUCCESS ? use(answered) : asked;
}

nvmlReturn_t Write(const char* text, char* out, unsigned length) {
  if (out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (std::strlen(text) >= length) return NVML_ERROR_INSUFFICIENT_SIZE;
  std::strcpy(out, text);
  return NVML_SUCCESS;
}

template <typename T>
nvmlReturn_t Processes(nvmlDevice_t device, unsigned* count, T* infos) {
  return AnswerOf(device, count, [&](const Answered& answered) {
    const auto there = static_cast<unsigned>(answered.processes.size());
    const unsigned room = std::exchange(*count, there);
    if (there == 0) return NVML_SUCCESS;
    if (infos == nullptr || room < there) return NVML_ERROR_INSUFFICIENT_SIZE;
    for (const ProcessFacts& process : answered.processes) {
      T& info = *infos++ = T{};
      info.pid = static_cast<unsigned>(process.pid);
      info.usedGpuMemory = process.used;
      if constexpr (requires { info.gpuInstanceId; }) {
        info.gpuInstanceId = info.computeInstanceId = ~0u;  // not partitioned
      }
    }
    return NVML_SUCCESS;
  });
}

struct ErrorText {
  nvmlReturn_t result;
  const char* text;
};
constexpr ErrorText kErrors[] = {
    {NVML_SUCCESS, "no error"},
    {NVML_ERROR_UNINITIALIZED, "NVML has not been initialised"},
    {NVML_ERROR_INVALID_ARGUMENT, "invalid argument"},
    {NVML_ERROR_NOT_SUPPORTED, "not supported"},
    {NVML_ERROR_NO_PERMISSION, "no permission"},
    {NVML_ERROR_NOT_FOUND, "not found"},
    {NVML_ERROR_INSUFFICIENT_SIZE, "the buffer is too small"},
    {NVML_ERROR_DRIVER_NOT_LOADED, "no driver is there"},
    {NVML_ERROR_GPU_IS_LOST, "the GPU does not answer"},
    {NVML_ERROR_ARGUMENT_VERSION_MISMATCH, "the argument's version is not known"},
};

}  // namespace

STAGGER_NVML nvmlInitWithFlags(unsigned int) {
  initialized.fetch_add(1);
  unsigned count = 0;
  if (Count(&count) == NVML_SUCCESS) return NVML_SUCCESS;
  initialized.fetch_sub(1);
  return NVML_ERROR_DRIVER_NOT_LOADED;
}
STAGGER_NVML nvmlInit_v2() { return nvmlInitWithFlags(0); }
STAGGER_NVML nvmlInit() { return nvmlInitWithFlags(0); }

STAGGER_NVML nvmlShutdown() {
  if (initialized.load() <= 0) return NVML_ERROR_UNINITIALIZED;
  initialized.fetch_sub(1);
  return NVML_SUCCESS;
}

extern "C" __attribute__((visibility("default"))) const char* nvmlErrorString(nvmlReturn_t result) {
  const auto* found = std::ranges::find(kErrors, result, &ErrorText::result);
  return found == std::end(kErrors) ? "unknown error" : found->text;
}

STAGGER_NVML nvmlSystemGetDriverVersion(char* version, unsigned int length) {
  if (initialized.load() <= 0) return NVML_ERROR_UNINITIALIZED;
  return Write(kDriverVersion, version, length);
}
STAGGER_NVML nvmlSystemGetNVMLVersion(char* version, unsigned int length) {
  return Write(kNvmlVersion, version, length);
}
STAGGER_NVML nvmlSystemGetCudaDriverVersion(int* version) {
  if (version == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *version = STAGGER_CUDA_VERSION;
  return NVML_SUCCESS;
}
STAGGER_NVML nvmlSystemGetCudaDriverVersion_v2(int* version) {
  return nvmlSystemGetCudaDriverVersion(version);
}

STAGGER_NVML nvmlDeviceGetCount_v2(unsigned int* count) {
  return count == nullptr ? NVML_ERROR_INVALID_ARGUMENT : Count(count);
}
STAGGER_NVML nvmlDeviceGetCount(unsigned int* count) { return nvmlDeviceGetCount_v2(count); }

STAGGER_NVML nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t* device) {
  unsigned count = 0;
  const nvmlReturn_t counted = Count(&count);
  if (counted != NVML_SUCCESS) return counted;
  if (index >= count || device == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  Answered answered;
  const nvmlReturn_t asked = Ask(index, &answered);
  if (asked == NVML_SUCCESS) *device = &handles[index];
  return asked;
}
STAGGER_NVML nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t* device) {
  return nvmlDeviceGetHandleByIndex_v2(index, device);
}

STAGGER_NVML nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device) {
  if (uuid == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  unsigned count = 0;
  const nvmlReturn_t counted = Count(&count);
  if (counted != NVML_SUCCESS) return counted;
  const auto devices = ListDevices(Path());
  const auto found = std::ranges::find(devices, uuid, UuidText);
  if (found == devices.end()) return NVML_ERROR_NOT_FOUND;
  return nvmlDeviceGetHandleByIndex_v2(static_cast<unsigned>(found - devices.begin()), device);
}

STAGGER_NVML nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int* index) {
  if (initialized.load() <= 0) return NVML_ERROR_UNINITIALIZED;
  if (!IsHandle(device) || index == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *index = NumberOf(device);
  return NVML_SUCCESS;
}

STAGGER_NVML nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid, unsigned int length) {
  return AnswerOf(device, uuid, [&](const Answered& answered) {
    return Write(UuidText(answered.about).c_str(), uuid, length);
  });
}
STAGGER_NVML nvmlDeviceGetName(nvmlDevice_t device, char* name, unsigned int length) {
  return AnswerOf(device, name, [&](const Answered& answered) {
    return Write(answered.about.name, name, length);
  });
}

STAGGER_NVML nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  return AnswerOf(device, memory, [&](const Answered& answered) {
    const Facts& facts = answered.facts;
    *memory = {facts.total, facts.total - facts.used, facts.used};
    return NVML_SUCCESS;
  });
}
STAGGER_NVML nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t* memory) {
  if (memory == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (memory->version != STAGGER_NVML_MEMORY_V2) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  nvmlMemory_t plain;
  const nvmlReturn_t asked = nvmlDeviceGetMemoryInfo(device, &plain);
  if (asked == NVML_SUCCESS) *memory = {memory->version, plain.total, 0, plain.free, plain.used};
  return asked;
}

STAGGER_NVML nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t* utilization) {
  return AnswerOf(device, utilization, [&](const Answered& answered) {
    *utilization = {answered.facts.busy_percent, 0};
    return NVML_SUCCESS;
  });
}

STAGGER_NVML nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned int* count,
                                                  nvmlProcessInfo_v1_t* infos) {
  return Processes(device, count, infos);
}
STAGGER_NVML nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int* count,
                                                     nvmlProcessInfo_v2_t* infos) {
  return Processes(device, count, infos);
}
STAGGER_NVML nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int* count,
                                                     nvmlProcessInfo_v2_t* infos) {
  return Processes(device, count, infos);
}

}  // namespace stagger::vgpu
