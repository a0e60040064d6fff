// Stream capture.
#include <algorithm>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/capture.h"
#include "lab/vgpu/libcuda/driver.h"

namespace stagger::vgpu::api {
namespace {

CUresult Begin(CUstream stream, CUstreamCaptureMode mode, CUgraph graph,
               std::vector<CUgraphNode> after) {
  const CUresult error = Driver::Get().Resolve(&stream);
  return error != CUDA_SUCCESS ? error : BeginCapture(stream, mode, graph, std::move(after));
}

CUresult Info(CUstream stream, CUstreamCaptureStatus* status, unsigned long* id, CUgraph* graph,
              const CUgraphNode** dependencies, std::size_t* count) {
  if (status == nullptr) return CUDA_ERROR_INVALID_VALUE;
  STAGGER_CUDA_TRY(Driver::Get().Resolve(&stream));
  *status = CU_STREAM_CAPTURE_STATUS_NONE;
  // Asking about the legacy stream is refused while it cannot be used, but spoils nothing.
  if (stream->capture == nullptr) return CheckLegacy(stream, false);
  if (stream->capture->invalidated) {
    *status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
    return CUDA_SUCCESS;
  }
  *status = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  if (id != nullptr) *id = stream->capture->id;
  if (graph != nullptr) *graph = stream->capture->graph;
  if (dependencies != nullptr) *dependencies = stream->frontier.data();
  if (count != nullptr) *count = stream->frontier.size();
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuStreamBeginCapture(CUstream stream) {
  return Begin(stream, CU_STREAM_CAPTURE_MODE_GLOBAL, nullptr, {});
}
CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  return Begin(stream, mode, nullptr, {});
}
CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph,
                                     const CUgraphNode* dependencies, const CUgraphEdgeData*,
                                     size_t count, CUstreamCaptureMode mode) {
  if (!Alive(graph, Kind::kGraph) || (dependencies == nullptr && count > 0)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return Begin(stream, mode, graph, {dependencies, dependencies + count});
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult error = Driver::Get().Resolve(&stream);
  return error != CUDA_SUCCESS ? error : EndCapture(stream, graph);
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  return Info(stream, status, nullptr, nullptr, nullptr, nullptr);
}
CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus* status, unsigned long* id) {
  return Info(stream, status, id, nullptr, nullptr, nullptr);
}
CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus* status,
                                   unsigned long* id, CUgraph* graph,
                                   const CUgraphNode** dependencies, size_t* count) {
  return Info(stream, status, id, graph, dependencies, count);
}
CUresult cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus* status,
                                   unsigned long* id, CUgraph* graph,
                                   const CUgraphNode** dependencies, const CUgraphEdgeData** edges,
                                   size_t* count) {
  if (edges != nullptr) *edges = nullptr;  // plain ones only
  return Info(stream, status, id, graph, dependencies, count);
}

CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode* dependencies, size_t count,
                                           unsigned int flags) {
  if (dependencies == nullptr && count > 0) return CUDA_ERROR_INVALID_VALUE;
  STAGGER_CUDA_TRY(Driver::Get().Resolve(&stream));
  if (stream->capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES) stream->frontier.clear();
  stream->frontier.insert(stream->frontier.end(), dependencies, dependencies + count);
  return CUDA_SUCCESS;
}
CUresult cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode* dependencies,
                                              const CUgraphEdgeData*, size_t count,
                                              unsigned int flags) {
  return cuStreamUpdateCaptureDependencies(stream, dependencies, count, flags);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  if (mode == nullptr || *mode < CU_STREAM_CAPTURE_MODE_GLOBAL ||
      *mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *mode = ExchangeCaptureMode(*mode);
  return CUDA_SUCCESS;
}

}  // namespace stagger::vgpu::api
