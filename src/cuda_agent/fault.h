// Notices that the GPU has failed under this process: from such an error on every call fails, and
// nothing but a new process helps. Tells the daemon, once per process. On the app's threads.
#pragma once

#include "cuda/driver_types.h"

namespace stagger::cuda_agent {

// `result` is a hooked call's; anything but a success. Cheap for errors that pass.
void NoteError(CUresult result);

// In the child of a fork: nothing has been told.
void ForgetFault();

}  // namespace stagger::cuda_agent
