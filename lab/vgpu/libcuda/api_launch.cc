// Launches of kernels and host functions.
#include <cstring>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/launch.h"

namespace stagger::vgpu {
namespace {

Fault FaultOf(const std::string& kernel) {
  Driver& driver = Driver::Get();
  if (driver.faults.empty()) return Fault::kNone;
  const std::uint64_t count = ++driver.launches[kernel];
  for (const FaultOrder& due : driver.faults) {
    if (due.kernel == kernel && due.nth == count) return due.fault;
  }
  return Fault::kNone;
}

// The values of the parameters in one piece. False: they are missing, or fewer than there must be.
bool Pack(const Kernel& kernel, void** parameters, void** extra, std::vector<std::byte>* packed) {
  packed->resize(kernel.params_bytes());
  if (kernel.params.empty()) return true;
  if (parameters != nullptr) {
    for (std::size_t i = 0; i < kernel.params.size(); ++i) {
      if (parameters[i] == nullptr) return false;
      std::memcpy(packed->data() + kernel.OffsetOf(i), parameters[i], kernel.params[i]);
    }
    return true;
  }
  const void* buffer = nullptr;
  std::size_t size = 0;
  for (void** at = extra; at != nullptr && *at != CU_LAUNCH_PARAM_END; at += 2) {
    if (*at == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer = at[1];
    if (*at == CU_LAUNCH_PARAM_BUFFER_SIZE) size = *static_cast<std::size_t*>(at[1]);
  }
  if (buffer == nullptr || size < packed->size()) return false;
  std::memcpy(packed->data(), buffer, packed->size());
  return true;
}

}  // namespace

Task HostTask(CUhostFn function, void* data) {
  return HostTask([function, data](CUresult status) {
    if (status == CUDA_SUCCESS) function(data);
  });
}

Task HostTask(std::function<void(CUresult)> host) {
  Task task;
  task.type = CU_GRAPH_NODE_TYPE_HOST;
  task.work.record.kind = OpKind::kHost;
  task.work.host = std::move(host);
  return task;
}

CUresult MakeLaunch(CUfunction function, const Grid& grid, void** parameters, void** extra,
                    Task* task) {
  if (!Alive(function, Kind::kFunction)) return CUDA_ERROR_INVALID_HANDLE;
  for (const unsigned extent : {grid.x, grid.y, grid.z, grid.block_x, grid.block_y, grid.block_z}) {
    if (extent == 0) return CUDA_ERROR_INVALID_VALUE;
  }
  const Kernel& kernel = function->kernel;
  task->type = CU_GRAPH_NODE_TYPE_KERNEL;
  task->function = function;
  OpRecord& record = task->work.record;
  record.kind = OpKind::kKernel;
  record.cost_ns = kernel.cost_ns;
  record.demand = kernel.demand;
  record.post = kernel.post;
  record.fault = FaultOf(kernel.name);
  if (kernel.action == Action::kNone) return CUDA_SUCCESS;
  std::vector<std::byte> packed;
  if (!Pack(kernel, parameters, extra, &packed)) return CUDA_ERROR_INVALID_VALUE;
  for (const Use& use : UsesOf(kernel, packed.data())) {
    // What it would touch is not the device's: it fails when it runs, as on a real one.
    if (use.bytes > 0 && !Driver::Get().memory.Usable(use.address, use.bytes)) {
      record.fault = Fault::kAddress;
    }
  }
  task->work.effect = [function, packed] { Compute(function->kernel, packed.data()); };
  return CUDA_SUCCESS;
}

namespace api {
namespace {

CUresult Enqueue(CUstream stream, Task task) {
  const CUresult error = Driver::Get().Resolve(&stream);
  return error != CUDA_SUCCESS ? error : Driver::Get().Enqueue(stream, std::move(task));
}

CUresult Launch(CUfunction function, const Grid& grid, CUstream stream, void** parameters,
                void** extra) {
  STAGGER_CUDA_TRY(Driver::Get().Resolve(&stream));
  Task task;
  const CUresult made = MakeLaunch(function, grid, parameters, extra, &task);
  return made != CUDA_SUCCESS ? made : Driver::Get().Enqueue(stream, std::move(task));
}

}  // namespace

CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                        unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                        unsigned int block_z, unsigned int, CUstream stream, void** parameters,
                        void** extra) {
  return Launch(function, {grid_x, grid_y, grid_z, block_x, block_y, block_z}, stream, parameters,
                extra);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters,
                          void** extra) {
  if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Launch(function,
                {config->gridDimX, config->gridDimY, config->gridDimZ, config->blockDimX,
                 config->blockDimY, config->blockDimZ},
                config->hStream, parameters, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                                   unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                                   unsigned int block_z, unsigned int shared, CUstream stream,
                                   void** parameters) {
  return cuLaunchKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream,
                        parameters, nullptr);
}

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void* data) {
  return function == nullptr ? CUDA_ERROR_INVALID_VALUE : Enqueue(stream, HostTask(function, data));
}

CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback callback, void* data,
                             unsigned int flags) {
  if (callback == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return Enqueue(stream, HostTask([stream, callback, data](CUresult status) {
                   callback(stream, status, data);
                 }));
}

}  // namespace api
}  // namespace stagger::vgpu
