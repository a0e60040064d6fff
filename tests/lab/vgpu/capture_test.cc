// Stream captures and graphs as the virtual GPU's libcuda.so.1 has them.
#include <thread>

#include "cuda_api.h"

namespace stagger::vgpu {
namespace {

TEST_F(CudaApi, CapturesForksAndJoinsIntoOneGraph) {
  Put(a, 1);
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), CUDA_SUCCESS);
  EXPECT_EQ(cuMemsetD32Async(b, 0, kCount, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuEventRecord(event, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamWaitEvent(other, event, 0), CUDA_SUCCESS);
  int status = -1;
  EXPECT_EQ(cuStreamIsCapturing(other, &status), CUDA_SUCCESS);
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
  EXPECT_EQ(LaunchSlow(other), CUDA_SUCCESS);
  EXPECT_EQ(Launch(add, b, a, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuEventRecord(event2, other), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamWaitEvent(stream, event2, 0), CUDA_SUCCESS);
  EXPECT_EQ(Launch(add, b, a, stream), CUDA_SUCCESS);
  ASSERT_EQ(EndCapture(stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamIsCapturing(other, &status), CUDA_SUCCESS);
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_NONE);
  std::size_t count = 0;
  EXPECT_EQ(cuGraphGetNodes(graph, nullptr, &count), CUDA_SUCCESS);
  EXPECT_EQ(count, 4u);
  EXPECT_EQ(cuGraphGetEdges(graph, nullptr, nullptr, &count), CUDA_SUCCESS);
  EXPECT_EQ(count, 4u);
  CUgraphExec executable = nullptr;
  ASSERT_EQ(cuGraphInstantiateWithFlags(&executable, graph, 0), CUDA_SUCCESS);
  EXPECT_EQ(Value(b), 0) << "capturing runs nothing";
  EXPECT_EQ(cuGraphLaunch(executable, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  EXPECT_EQ(Value(b), 2);
  // As a child, twice, in a graph of its own.
  CUgraph parent = nullptr;
  CUgraphNode first = nullptr;
  CUgraphNode second = nullptr;
  ASSERT_EQ(cuGraphCreate(&parent, 0), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphAddChildGraphNode(&first, parent, nullptr, 0, graph), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphAddChildGraphNode(&second, parent, &first, 1, graph), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphDestroy(graph), CUDA_SUCCESS) << "they are copies";
  EXPECT_EQ(cuGraphLaunch(executable, stream), CUDA_SUCCESS) << "and so is this";
  CUgraphExec both = nullptr;
  ASSERT_EQ(cuGraphInstantiateWithFlags(&both, parent, 0), CUDA_SUCCESS);
  EXPECT_EQ(cuEventRecord(event, other), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphLaunch(both, other), CUDA_SUCCESS);
  EXPECT_EQ(cuEventRecord(event2, other), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamSynchronize(other), CUDA_SUCCESS);
  float ms = 0;
  EXPECT_EQ(cuEventElapsedTime(&ms, event, event2), CUDA_SUCCESS);
  EXPECT_GE(ms, 14) << "two times 5 and 2 ms one after the other";
  EXPECT_EQ(Value(b), 2);
  CUgraphExecUpdateResultInfo result{};
  EXPECT_EQ(cuGraphExecUpdate_v2(executable, graph, &result), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuGraphClone(&graph, parent), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphExecUpdate_v2(both, graph, &result), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphExecUpdate_v2(executable, graph, &result), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
}

TEST_F(CudaApi, ACaptureIsSpoiltByWaiting) {
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  EXPECT_EQ(LaunchSlow(stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  int status = -1;
  EXPECT_EQ(cuStreamIsCapturing(stream, &status), CUDA_SUCCESS);
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
  EXPECT_EQ(LaunchSlow(stream), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  EXPECT_EQ(EndCapture(stream), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  EXPECT_EQ(graph, nullptr);
  EXPECT_EQ(LaunchSlow(stream), CUDA_SUCCESS) << "the stream works again";
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
}

TEST_F(CudaApi, UnsafeCallsAreRefusedByMode) {
  CUdeviceptr address = 0;
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
  std::thread([&] {
    EXPECT_EQ(cuCtxSetCurrent(context), CUDA_SUCCESS);
    EXPECT_EQ(cuMemAlloc_v2(&address, 64), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  }).join();
  EXPECT_EQ(EndCapture(stream), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

  ASSERT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), CUDA_SUCCESS);
  std::thread([&] {
    EXPECT_EQ(cuCtxSetCurrent(context), CUDA_SUCCESS);
    EXPECT_EQ(cuMemAlloc_v2(&address, 64), CUDA_SUCCESS) << "another thread's capture is its own";
  }).join();
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  EXPECT_EQ(cuThreadExchangeStreamCaptureMode(&mode), CUDA_SUCCESS);
  EXPECT_EQ(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
  EXPECT_EQ(cuMemFree_v2(address), CUDA_SUCCESS) << "this thread has said that it knows";
  EXPECT_EQ(cuThreadExchangeStreamCaptureMode(&mode), CUDA_SUCCESS);
  EXPECT_EQ(mode, CU_STREAM_CAPTURE_MODE_RELAXED);
  EXPECT_EQ(EndCapture(stream), CUDA_SUCCESS);
}

TEST_F(CudaApi, TheLegacyStreamMustNotMeetACapture) {
  ASSERT_EQ(cuStreamBeginCapture_v2(blocking, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  int status = -1;
  EXPECT_EQ(cuStreamIsCapturing(nullptr, &status), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  EXPECT_EQ(cuStreamIsCapturing(blocking, &status), CUDA_SUCCESS);
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE) << "asking spoils nothing";
  EXPECT_EQ(LaunchSlow(nullptr), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  EXPECT_EQ(EndCapture(blocking), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  EXPECT_EQ(LaunchSlow(nullptr), CUDA_SUCCESS) << "a non-blocking stream does not meet it";
  EXPECT_EQ(EndCapture(stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamBeginCapture_v2(nullptr, CU_STREAM_CAPTURE_MODE_RELAXED),
            CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

TEST_F(CudaApi, CapturesKeepApart) {
  EXPECT_EQ(cuEventRecord(event, other), CUDA_SUCCESS);
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamWaitEvent(stream, event, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
  EXPECT_EQ(EndCapture(stream), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

  ASSERT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  ASSERT_EQ(cuStreamBeginCapture_v2(other, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  EXPECT_EQ(cuEventRecord(event, other), CUDA_SUCCESS);
  EXPECT_EQ(cuEventQuery(event), CUDA_ERROR_CAPTURED_EVENT);
  EXPECT_EQ(cuStreamWaitEvent(stream, event, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
  EXPECT_EQ(EndCapture(stream), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  EXPECT_EQ(EndCapture(other), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

  ASSERT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  EXPECT_EQ(cuEventRecord(event, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamWaitEvent(other, event, 0), CUDA_SUCCESS);
  EXPECT_EQ(LaunchSlow(other), CUDA_SUCCESS);
  EXPECT_EQ(EndCapture(stream), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);

  ASSERT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), CUDA_SUCCESS);
  std::thread([&] {
    EXPECT_EQ(EndCapture(stream), CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
  }).join();
  EXPECT_EQ(EndCapture(stream), CUDA_SUCCESS);
  EXPECT_EQ(EndCapture(stream), CUDA_ERROR_ILLEGAL_STATE);
}

TEST_F(CudaApi, BuildsGraphsNodeByNode) {
  CUdeviceptr to = b;
  CUdeviceptr from = a;
  int count = kCount;
  void* values[] = {&to, &from, &count};
  CUDA_KERNEL_NODE_PARAMS_v2 parameters{};
  parameters.func = add;
  parameters.gridDimX = parameters.gridDimY = parameters.gridDimZ = 1;
  parameters.blockDimX = parameters.blockDimY = parameters.blockDimZ = 1;
  parameters.kernelParams = values;
  CUgraphNode first = nullptr;
  CUgraphNode host = nullptr;
  int calls = 0;
  const CUDA_HOST_NODE_PARAMS call{[](void* data) { ++*static_cast<int*>(data); }, &calls};
  ASSERT_EQ(cuGraphCreate(&graph, 0), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphAddKernelNode_v2(&first, graph, nullptr, 0, &parameters), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphAddHostNode(&host, graph, &first, 1, &call), CUDA_SUCCESS);
  CUgraphExec executable = nullptr;
  ASSERT_EQ(cuGraphInstantiateWithFlags(&executable, graph, 0), CUDA_SUCCESS);
  Put(a, 3);
  EXPECT_EQ(cuGraphLaunch(executable, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphLaunch(executable, other), CUDA_SUCCESS) << "after the first, elsewhere too";
  EXPECT_EQ(cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(Value(b), 6);
  parameters.func = copy;
  EXPECT_EQ(cuGraphExecKernelNodeSetParams_v2(executable, first, &parameters), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphLaunch(executable, stream), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  EXPECT_EQ(Value(b), 3);
  EXPECT_EQ(cuGraphExecDestroy(executable), CUDA_SUCCESS);
  EXPECT_EQ(cuGraphLaunch(executable, stream), CUDA_ERROR_INVALID_HANDLE);
}

}  // namespace
}  // namespace stagger::vgpu
