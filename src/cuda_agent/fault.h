// Notices that the GPU has failed under this process: from such an error on every call fails, and
// nothing but a new process helps. Tells the daemon, once per process. On the app's threads.
#pragma once

#include <cstddef>

#include "cuda/driver_types.h"

namespace stagger::cuda_agent {

// `result` is that of a hooked call, by its place in cuda::kCalls; anything but a success. Cheap
// for errors that pass. Says once, too, that an older driver lacks what the app is linked against.
void NoteError(std::size_t at, CUresult result);

// In the child of a fork: nothing has been told.
void ForgetFault();

}  // namespace stagger::cuda_agent
