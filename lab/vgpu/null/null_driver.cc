// A CUDA driver that does nothing: every call succeeds at once. `stagger bench hooks` measures on
// it what our hooks add to a call, which a driver that works would hide. Apps cannot use it.
//
// Three things are more than nothing. A wait for a stream takes 0.5 us for each launch since the
// last one, so that bursts have a weight. An event that is made with CU_EVENT_INTERPROCESS never
// becomes ready. And cuNullDriverFunction hands out this library's own functions by name, past
// whatever is preloaded.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>

#include "cuda/driver_calls.h"
#include "lab/vgpu/driver_values.h"

#define STAGGER_EXPORT extern "C" __attribute__((visibility("default")))

namespace stagger::vgpu::null {
namespace {

enum At : std::size_t {
#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) kAt_##symbol,
#include "cuda/driver_calls.inc"
};

constexpr std::int64_t kNsPerLaunch = 500;
std::int64_t launches = 0;  // one thread launches

void* FunctionAt(std::size_t at);

void* Find(std::string_view symbol) {
  for (std::size_t at = 0; at < cuda::kCalls.size(); ++at) {
    if (cuda::kCalls[at].symbol == symbol) return FunctionAt(at);
  }
  return nullptr;
}

// What most calls do. Those that have an answer to give are below.
template <std::size_t at>
struct Call {
  template <typename... Arguments>
  static CUresult Answer(Arguments...) {
    if (cuda::kCalls[at].kind == cuda::CallKind::kLaunch) ++launches;
    return CUDA_SUCCESS;
  }
};

template <typename T>
CUresult Give(T* where, T value) {
  *where = value;
  return CUDA_SUCCESS;
}

template <typename Handle>
Handle Numbered(std::uintptr_t number) {
  return reinterpret_cast<Handle>(number);  // NOLINT(performance-no-int-to-ptr): nothing is there
}

template <>
struct Call<kAt_cuDriverGetVersion> {
  static CUresult Answer(int* version) { return Give(version, STAGGER_CUDA_VERSION); }
};
template <>
struct Call<kAt_cuDeviceGetCount> {
  static CUresult Answer(int* count) { return Give(count, 1); }
};
template <>
struct Call<kAt_cuCtxGetDevice> {
  static CUresult Answer(CUdevice* device) { return Give(device, 0); }
};
template <>
struct Call<kAt_cuCtxGetCurrent> {
  static CUresult Answer(CUcontext* context) { return Give(context, Numbered<CUcontext>(0x100)); }
};
template <>
struct Call<kAt_cuStreamCreate> {
  static CUresult Answer(CUstream* stream, unsigned) {
    return Give(stream, Numbered<CUstream>(0x200));
  }
};
template <>
struct Call<kAt_cuEventCreate> {
  static CUresult Answer(CUevent* event, unsigned flags) {
    static std::atomic<std::uintptr_t> made{0x300};
    const bool never = (flags & CU_EVENT_INTERPROCESS) != 0;
    return Give(event, Numbered<CUevent>((made += 2) + (never ? 1 : 0)));
  }
};
template <>
struct Call<kAt_cuEventQuery> {
  static CUresult Answer(CUevent event) {
    const bool never = (reinterpret_cast<std::uintptr_t>(event) & 1) != 0;
    return never ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
  }
};
template <>
struct Call<kAt_cuStreamSynchronize> {
  static CUresult Answer(CUstream) {
    const timespec wait{0, launches * kNsPerLaunch % 1'000'000'000};
    launches = 0;
    nanosleep(&wait, nullptr);
    return CUDA_SUCCESS;
  }
};
template <>
struct Call<kAt_cuDeviceGetUuid_v2> {
  // The daemon's device, so that bodies take real turns: 32 hexadecimal digits.
  static CUresult Answer(CUuuid* uuid, CUdevice) {
    const char* digits = std::getenv("STAGGER_NULL_DRIVER_UUID");
    if (digits == nullptr || std::strlen(digits) < 32) return CUDA_ERROR_NOT_FOUND;
    for (std::size_t i = 0; i < 16; ++i) {
      const char byte[3] = {digits[2 * i], digits[2 * i + 1], '\0'};
      uuid->bytes[i] = static_cast<char>(std::strtoul(byte, nullptr, 16));
    }
    return CUDA_SUCCESS;
  }
};

}  // namespace
}  // namespace stagger::vgpu::null

#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments)                \
  STAGGER_EXPORT CUresult symbol parameters {                                              \
    return stagger::vgpu::null::Call<stagger::vgpu::null::kAt_##symbol>::Answer arguments; \
  }
#include "cuda/driver_calls.inc"

namespace stagger::vgpu::null {
namespace {

void* FunctionAt(std::size_t at) {
  static void* const kFunctions[] = {
#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  reinterpret_cast<void*>(&::symbol),
#include "cuda/driver_calls.inc"
  };
  return kFunctions[at];
}

}  // namespace
}  // namespace stagger::vgpu::null

STAGGER_EXPORT void* cuNullDriverFunction(const char* symbol) {
  return stagger::vgpu::null::Find(symbol);
}
