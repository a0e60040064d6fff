#include "cuda_agent/capture.h"

#include "cuda_agent/real_driver.h"

namespace stagger::cuda_agent {

bool Captures::Includes(CUstream stream) {
  if (!any()) return false;
  // An error says that the stream cannot be used while others capture. Asking spoils nothing.
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  return RealCall<kAt_cuStreamIsCapturing>(stream, &status) != CUDA_SUCCESS ||
         status != CU_STREAM_CAPTURE_STATUS_NONE;
}

Relaxed::Relaxed() { RealCall<kAt_cuThreadExchangeStreamCaptureMode>(&mode_); }
Relaxed::~Relaxed() { RealCall<kAt_cuThreadExchangeStreamCaptureMode>(&mode_); }

}  // namespace stagger::cuda_agent
