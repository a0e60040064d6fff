#include "fake_driver.h"

#include <array>

#include "agent/interface.h"
#include "cuda_agent/hooks.h"
#include "cuda_agent/real_driver.h"

namespace stagger::cuda_agent {

void* HookFor(std::size_t) { return nullptr; }

namespace fake {

std::atomic<int> turns_given{0};
std::atomic<int> turns_back{0};
std::atomic<int> wrong_turns{0};
std::atomic<int> events_recorded{0};
std::atomic<CUstream> capturing{nullptr};
std::atomic<void (*)()> before_number{nullptr};
int (*framework_call)(bool begins) = nullptr;

namespace {

constexpr std::size_t kMostTurns = 100'000;
std::array<std::atomic<bool>, kMostTurns> held{};
std::atomic<std::uint64_t> last_event{0};
thread_local CUcontext current = nullptr;

CUresult GetCurrent(CUcontext* context) {
  *context = current;
  return CUDA_SUCCESS;
}
CUresult SetCurrent(CUcontext context) {
  current = context;
  return CUDA_SUCCESS;
}
CUresult GetDevice(CUdevice* device) {
  if (current == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *device = static_cast<CUdevice>(reinterpret_cast<std::uintptr_t>(current)) - 1;
  return CUDA_SUCCESS;
}
CUresult GetUuid(CUuuid* uuid, CUdevice device) {
  *uuid = {};
  uuid->bytes[0] = static_cast<char>(device);
  return CUDA_SUCCESS;
}
CUresult CreateEvent(CUevent* event, unsigned) {
  *event = reinterpret_cast<CUevent>(++last_event);
  return CUDA_SUCCESS;
}
CUresult Record(CUevent, CUstream) {
  ++events_recorded;
  return CUDA_SUCCESS;
}
CUresult Event(CUevent) { return CUDA_SUCCESS; }
CUresult IsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  *status = stream == capturing.load() ? CUstreamCaptureStatus{CU_STREAM_CAPTURE_STATUS_ACTIVE}
                                       : CUstreamCaptureStatus{CU_STREAM_CAPTURE_STATUS_NONE};
  return CUDA_SUCCESS;
}
CUresult ExchangeMode(CUstreamCaptureMode*) { return CUDA_SUCCESS; }

StaggerTicket Enter(std::uint32_t device, std::uint64_t) {
  const int turn = ++turns_given;
  held.at(static_cast<std::size_t>(turn)) = true;
  return {static_cast<std::uint64_t>(turn), device};
}
void Leave(StaggerTicket ticket, std::uint64_t) {
  const bool was_held = ticket.seq < kMostTurns && held[ticket.seq].exchange(false);
  ++(was_held ? turns_back : wrong_turns);
}
int DeviceOf(const std::uint8_t uuid[16]) {
  if (void (*const call)() = before_number.load()) call();
  return uuid[0];
}

}  // namespace

void Install() {
  Found(kAt_cuCtxGetCurrent, reinterpret_cast<void*>(&GetCurrent));
  Found(kAt_cuCtxSetCurrent, reinterpret_cast<void*>(&SetCurrent));
  Found(kAt_cuCtxGetDevice, reinterpret_cast<void*>(&GetDevice));
  Found(kAt_cuDeviceGetUuid_v2, reinterpret_cast<void*>(&GetUuid));
  Found(kAt_cuEventCreate, reinterpret_cast<void*>(&CreateEvent));
  Found(kAt_cuEventRecord, reinterpret_cast<void*>(&Record));
  Found(kAt_cuEventSynchronize, reinterpret_cast<void*>(&Event));
  Found(kAt_cuEventQuery, reinterpret_cast<void*>(&Event));
  Found(kAt_cuStreamIsCapturing, reinterpret_cast<void*>(&IsCapturing));
  Found(kAt_cuThreadExchangeStreamCaptureMode, reinterpret_cast<void*>(&ExchangeMode));
}

void UseContext(CUdevice device) {
  current = reinterpret_cast<CUcontext>(static_cast<std::uintptr_t>(device) + 1);
}

}  // namespace fake
}  // namespace stagger::cuda_agent

namespace fake = stagger::cuda_agent::fake;

extern "C" const StaggerAgentInterface stagger_agent_interface = {
    .size = sizeof(StaggerAgentInterface),
    .nudge = [] {},
    .attached = [] { return true; },
    .device_of = &fake::DeviceOf,
    .enter = &fake::Enter,
    .leave = &fake::Leave,
    .ended = [](std::uint32_t, std::uint64_t, std::uint64_t) {},
    .count_warmup = [] {},
    .say_once = [](int, const char*) {},
    .add_dlsym_filter = [](StaggerDlsymFilter) {},
    .framework_depth = [] { return 0; },
    .watch_framework = [](int (*call)(bool)) { fake::framework_call = call; },
    .gates = [] { return true; },
    .faulted = [](int, std::uint32_t) {},
    .due_in = [](std::int64_t) {},
};
