// A driver and a gate for the CUDA agent's own code. Thread-safe. The driver does all work at once;
// a context's number is its device's, and each thread has its own current context. The gate gives
// every body a turn of its own and keeps books of them.
#pragma once

#include <atomic>
#include <cstdint>

#include "lab/vgpu/driver_values.h"

namespace stagger::cuda_agent::fake {

void Install();
void UseContext(CUdevice device);  // on the calling thread

extern std::atomic<int> turns_given;
extern std::atomic<int> turns_back;
extern std::atomic<int> wrong_turns;  // given back twice, or never given
extern std::atomic<int> events_recorded;
extern std::atomic<CUstream> capturing;
extern int (*framework_call)(bool begins);
// Called where the agent asks for a device's number, before it is answered.
extern std::atomic<void (*)()> before_number;

}  // namespace stagger::cuda_agent::fake
