// Graphs: built node by node, instantiated, launched. Nodes that copy are made by capture only.
#include <algorithm>
#include <cstring>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/capture.h"
#include "lab/vgpu/libcuda/launch.h"

namespace stagger::vgpu::api {
namespace {

CUresult Add(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, std::size_t count,
             Task task) {
  if (node == nullptr || (dependencies == nullptr && count > 0)) return CUDA_ERROR_INVALID_VALUE;
  if (!Alive(graph, Kind::kGraph)) return CUDA_ERROR_INVALID_VALUE;
  for (std::size_t i = 0; i < count; ++i) {
    if (!Alive(dependencies[i], Kind::kNode) || dependencies[i]->graph != graph) {
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  *node = AddNode(graph, std::move(task), {dependencies, dependencies + count});
  return CUDA_SUCCESS;
}

template <typename P>
CUresult MakeTask(const P* parameters, CUfunction function, Task* task) {
  return MakeLaunch(function,
                    {parameters->gridDimX, parameters->gridDimY, parameters->gridDimZ,
                     parameters->blockDimX, parameters->blockDimY, parameters->blockDimZ},
                    parameters->kernelParams, parameters->extra, task);
}

CUfunction FunctionOf(const CUDA_KERNEL_NODE_PARAMS_v1& parameters) { return parameters.func; }
CUfunction FunctionOf(const CUDA_KERNEL_NODE_PARAMS_v2& parameters) {
  return parameters.func != nullptr ? parameters.func
                                    : reinterpret_cast<CUfunction>(parameters.kern);
}

template <typename P>
CUresult AddKernel(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                   std::size_t count, const P* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Task task;
  const CUresult made = MakeTask(parameters, FunctionOf(*parameters), &task);
  return made != CUDA_SUCCESS ? made : Add(node, graph, dependencies, count, std::move(task));
}

template <typename P>
CUresult SetKernel(CUgraphExec executable, CUgraphNode node, const P* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!Alive(executable, Kind::kExecutable)) return CUDA_ERROR_INVALID_HANDLE;
  const auto step = std::ranges::find(executable->steps, node, &CUgraphExec_st::Step::from);
  if (step == executable->steps.end() || step->task.type != CU_GRAPH_NODE_TYPE_KERNEL) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return MakeTask(parameters, FunctionOf(*parameters), &step->task);
}

CUresult MakeExecutable(CUgraphExec* executable, CUgraph graph) {
  if (executable == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!Alive(graph, Kind::kGraph)) return CUDA_ERROR_INVALID_VALUE;
  *executable = new CUgraphExec_st;
  (*executable)->steps = StepsOf(graph);
  return CUDA_SUCCESS;
}

// The new graph must have the old one's shape; what its nodes do may change.
CUresult Update(CUgraphExec executable, CUgraph graph) {
  if (!Alive(executable, Kind::kExecutable) || !Alive(graph, Kind::kGraph)) {
    return CUDA_ERROR_INVALID_HANDLE;
  }
  std::vector<CUgraphExec_st::Step> steps = StepsOf(graph);
  const bool same = std::ranges::equal(steps, executable->steps, [](const auto& a, const auto& b) {
    return a.after == b.after && a.task.type == b.task.type;
  });
  if (!same) return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  executable->steps = std::move(steps);
  return CUDA_SUCCESS;
}

constexpr CUgraphExecUpdateResult kUpdated = 0;
constexpr CUgraphExecUpdateResult kTopologyChanged = 2;

// Fills `out` from `nodes` as the API's listing calls do: null asks for the number only.
CUresult List(const std::vector<CUgraphNode>& nodes, CUgraphNode* out, std::size_t* count) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (out != nullptr) {
    for (std::size_t i = 0; i < *count; ++i) out[i] = i < nodes.size() ? nodes[i] : nullptr;
    *count = std::min(*count, nodes.size());
  } else {
    *count = nodes.size();
  }
  return CUDA_SUCCESS;
}

CUresult ListEdges(CUgraph graph, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* edges,
                   std::size_t* count) {
  if (!Alive(graph, Kind::kGraph) || count == nullptr || (from == nullptr) != (to == nullptr)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  std::vector<CUgraphNode> begins;
  std::vector<CUgraphNode> ends;
  for (const auto& node : graph->nodes) {
    for (CUgraphNode before : node->after) {
      begins.push_back(before);
      ends.push_back(node.get());
    }
  }
  if (edges != nullptr) std::memset(edges, 0, sizeof *edges * std::min(*count, ends.size()));
  std::size_t again = *count;
  List(begins, from, &again);
  return List(ends, to, count);
}

CUresult AddEdges(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                  std::size_t count) {
  if (!Alive(graph, Kind::kGraph) || from == nullptr || to == nullptr) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const auto place = [graph](CUgraphNode node) {
    return std::ranges::find(graph->nodes, node, &std::unique_ptr<CUgraphNode_st>::get) -
           graph->nodes.begin();
  };
  for (std::size_t i = 0; i < count; ++i) {
    // Nodes are kept in an order in which none comes after a later one.
    const auto begin = place(from[i]);
    const auto end = place(to[i]);
    const auto size = static_cast<std::ptrdiff_t>(graph->nodes.size());
    if (begin == size || end == size) return CUDA_ERROR_INVALID_VALUE;
    if (begin >= end) return CUDA_ERROR_NOT_SUPPORTED;
    to[i]->after.push_back(from[i]);
  }
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuGraphCreate(CUgraph* graph, unsigned int flags) {
  if (graph == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  *graph = NewGraph();
  return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) {
  if (!Alive(graph, Kind::kGraph)) return CUDA_ERROR_INVALID_VALUE;
  for (const auto& node : graph->nodes) {
    node->kind = Kind::kDead;
    node->task = {};  // may hold much
  }
  graph->kind = Kind::kDead;
  return CUDA_SUCCESS;
}

CUresult cuGraphClone(CUgraph* clone, CUgraph graph) {
  if (clone == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!Alive(graph, Kind::kGraph)) return CUDA_ERROR_INVALID_VALUE;
  *clone = CopyOf(graph);
  return CUDA_SUCCESS;
}

CUresult cuGraphAddKernelNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                              size_t count, const CUDA_KERNEL_NODE_PARAMS_v1* parameters) {
  return AddKernel(node, graph, dependencies, count, parameters);
}
CUresult cuGraphAddKernelNode_v2(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                 size_t count, const CUDA_KERNEL_NODE_PARAMS_v2* parameters) {
  return AddKernel(node, graph, dependencies, count, parameters);
}

CUresult cuGraphAddHostNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                            size_t count, const CUDA_HOST_NODE_PARAMS* parameters) {
  if (parameters == nullptr || parameters->fn == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Add(node, graph, dependencies, count, HostTask(parameters->fn, parameters->userData));
}

CUresult cuGraphAddEmptyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                             size_t count) {
  return Add(node, graph, dependencies, count, Marker(CU_GRAPH_NODE_TYPE_EMPTY));
}

CUresult cuGraphAddChildGraphNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                  size_t count, CUgraph child) {
  if (!Alive(child, Kind::kGraph)) return CUDA_ERROR_INVALID_VALUE;
  const CUresult added = Add(node, graph, dependencies, count, Marker(CU_GRAPH_NODE_TYPE_GRAPH));
  if (added == CUDA_SUCCESS) (*node)->child = CopyOf(child);
  return added;
}

CUresult cuGraphAddEventRecordNode(CUgraphNode* node, CUgraph graph,
                                   const CUgraphNode* dependencies, size_t count, CUevent event) {
  if (!Alive(event, Kind::kEvent)) return CUDA_ERROR_INVALID_VALUE;
  Task task = Marker(CU_GRAPH_NODE_TYPE_EVENT_RECORD);
  task.event = event;
  return Add(node, graph, dependencies, count, std::move(task));
}

CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                size_t count) {
  return AddEdges(graph, from, to, count);
}
CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                   const CUgraphEdgeData*, size_t count) {
  return AddEdges(graph, from, to, count);
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  if (!Alive(graph, Kind::kGraph)) return CUDA_ERROR_INVALID_VALUE;
  std::vector<CUgraphNode> all;
  for (const auto& node : graph->nodes) all.push_back(node.get());
  return List(all, nodes, count);
}
CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  if (!Alive(graph, Kind::kGraph)) return CUDA_ERROR_INVALID_VALUE;
  std::vector<CUgraphNode> roots;
  for (const auto& node : graph->nodes) {
    if (node->after.empty()) roots.push_back(node.get());
  }
  return List(roots, nodes, count);
}
CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode* from, CUgraphNode* to, size_t* count) {
  return ListEdges(graph, from, to, nullptr, count);
}
CUresult cuGraphGetEdges_v2(CUgraph graph, CUgraphNode* from, CUgraphNode* to,
                            CUgraphEdgeData* edges, size_t* count) {
  return ListEdges(graph, from, to, edges, count);
}

CUresult cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType* type) {
  if (!Alive(node, Kind::kNode) || type == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *type = node->task.type;
  return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long) {
  return MakeExecutable(executable, graph);
}
CUresult cuGraphInstantiate(CUgraphExec* executable, CUgraph graph, CUgraphNode* failed, char* log,
                            size_t log_bytes) {
  if (failed != nullptr) *failed = nullptr;
  if (log != nullptr && log_bytes > 0) *log = '\0';
  return MakeExecutable(executable, graph);
}
CUresult cuGraphInstantiate_v2(CUgraphExec* executable, CUgraph graph, CUgraphNode* failed,
                               char* log, size_t log_bytes) {
  return cuGraphInstantiate(executable, graph, failed, log, log_bytes);
}
CUresult cuGraphInstantiateWithParams(CUgraphExec* executable, CUgraph graph,
                                      CUDA_GRAPH_INSTANTIATE_PARAMS* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult made = MakeExecutable(executable, graph);
  parameters->hErrNode_out = nullptr;
  parameters->result_out = made == CUDA_SUCCESS ? 0 : 1;
  return made;
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec executable, CUgraphNode node,
                                        const CUDA_KERNEL_NODE_PARAMS_v1* parameters) {
  return SetKernel(executable, node, parameters);
}
CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec executable, CUgraphNode node,
                                           const CUDA_KERNEL_NODE_PARAMS_v2* parameters) {
  return SetKernel(executable, node, parameters);
}

CUresult cuGraphExecUpdate_v2(CUgraphExec executable, CUgraph graph,
                              CUgraphExecUpdateResultInfo* result) {
  if (result == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult updated = Update(executable, graph);
  *result = {updated == CUDA_SUCCESS ? kUpdated : kTopologyChanged, nullptr, nullptr};
  return updated;
}
CUresult cuGraphExecUpdate(CUgraphExec executable, CUgraph graph, CUgraphNode* failed,
                           CUgraphExecUpdateResult* result) {
  if (failed == nullptr || result == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUgraphExecUpdateResultInfo info;
  const CUresult updated = cuGraphExecUpdate_v2(executable, graph, &info);
  *failed = nullptr;
  *result = info.result;
  return updated;
}

CUresult cuGraphExecDestroy(CUgraphExec executable) {
  if (!Alive(executable, Kind::kExecutable)) return CUDA_ERROR_INVALID_HANDLE;
  executable->kind = Kind::kDead;
  executable->steps.clear();
  return CUDA_SUCCESS;
}

CUresult cuGraphUpload(CUgraphExec executable, CUstream) {
  return Alive(executable, Kind::kExecutable) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  if (!Alive(executable, Kind::kExecutable)) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult error = Driver::Get().Resolve(&stream);
  return error != CUDA_SUCCESS ? error : LaunchGraph(executable, stream);
}

}  // namespace stagger::vgpu::api
