// Stream captures and graphs: the rules of what may be captured, and the graphs that come of it.
// The driver's lock is held.
#pragma once

#include <memory>
#include <vector>

#include "lab/vgpu/libcuda/driver.h"

struct CUgraphNode_st {
  stagger::vgpu::Kind kind = stagger::vgpu::Kind::kNode;
  CUgraph graph = nullptr;
  stagger::vgpu::Task task;
  CUgraph child = nullptr;  // of a graph node
  std::vector<CUgraphNode> after;
};

struct CUgraph_st {
  stagger::vgpu::Kind kind = stagger::vgpu::Kind::kGraph;
  std::vector<std::unique_ptr<CUgraphNode_st>> nodes;  // each after those it comes after
};

// What a graph was when it was instantiated: its own copy of everything.
struct CUgraphExec_st {
  struct Step {
    stagger::vgpu::Task task;
    std::vector<std::size_t> after;
    CUgraphNode from = nullptr;  // the node it was made from
  };
  stagger::vgpu::Kind kind = stagger::vgpu::Kind::kExecutable;
  std::vector<Step> steps;
  stagger::vgpu::OpId last = 0;  // the end of its last launch: launches of one never overlap
  stagger::vgpu::Timeline* timeline = nullptr;  // that was on
};

namespace stagger::vgpu {

// CUDA_SUCCESS if the calling thread may make a call that is unsafe while somebody captures
// (allocations, event queries); otherwise the captures concerned are invalidated.
CUresult CheckUnsafe();
CUstreamCaptureMode ExchangeCaptureMode(CUstreamCaptureMode mode);

// The legacy stream is used: not while a stream that synchronises with it captures. `spoil`: that
// capture is invalidated.
CUresult CheckLegacy(CUstream stream, bool spoil = true);

CUresult BeginCapture(CUstream stream, CUstreamCaptureMode mode, CUgraph graph,
                      std::vector<CUgraphNode> after);
CUresult EndCapture(CUstream stream, CUgraph* graph);
// A stream that captures waits for an event, or one joins the capture that the event was recorded
// in.
CUresult CaptureWait(CUstream stream, CUevent event);
CUresult CaptureTask(CUstream stream, Task task);
void Invalidate(Capture* capture);

CUgraph NewGraph();
CUgraph CopyOf(CUgraph graph);
CUgraphNode AddNode(CUgraph graph, Task task, std::vector<CUgraphNode> after);
// What launching it means, its children's nodes included.
std::vector<CUgraphExec_st::Step> StepsOf(CUgraph graph);
CUresult LaunchGraph(CUgraphExec executable, CUstream stream);

}  // namespace stagger::vgpu
