// The real driver's functions, by their place in cuda::kCalls. What the app looked up itself is
// used first: it is surely the driver that the app means. Thread-safe, lock-free once known.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "cuda/driver_calls.h"
#include "cuda/driver_types.h"

namespace stagger::cuda_agent {

// Places in cuda::kCalls: kAt_cuLaunchKernel, kAt_cuLaunchKernel_ptsz, ...
enum At : std::size_t {
#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) kAt_##symbol,
#include "cuda/driver_calls.inc"
  kCallCount
};
static_assert(kCallCount == cuda::kCalls.size());

void* FindReal(std::size_t at);
inline constinit std::array<std::atomic<void*>, kCallCount> real_functions{};

// Null if the driver has no such function, or there is no driver.
inline void* Real(std::size_t at) {
  void* function = real_functions[at].load(std::memory_order_relaxed);
  return function != nullptr ? function : FindReal(at);
}
// This thread is in Real: what it asks dlsym for is the driver's own.
bool LooksForReal();
// The app found this one for itself; the first to be found stays.
void Found(std::size_t at, void* function);

// Result of a real call by its symbol: RealCall<kAt_cuEventQuery>(event).
template <std::size_t at, typename... Arguments>
CUresult RealCall(Arguments... arguments) {
  using Function = CUresult (*)(Arguments...);
  const auto function = reinterpret_cast<Function>(Real(at));
  return function != nullptr ? function(arguments...) : CUDA_ERROR_NOT_FOUND;
}

}  // namespace stagger::cuda_agent
