#include "lab/vgpu/libcuda/capture.h"

#include <algorithm>
#include <utility>

namespace stagger::vgpu {
namespace {

thread_local CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

void Leave(Capture* capture) {
  for (CUstream stream : capture->streams) {
    stream->capture = nullptr;
    stream->frontier.clear();
  }
}

void AddAll(std::vector<CUgraphNode>* to, const std::vector<CUgraphNode>& from) {
  for (CUgraphNode node : from) {
    if (std::ranges::find(*to, node) == to->end()) to->push_back(node);
  }
}

// Whether everything in `nodes` comes before, or is, one of `ends`.
bool Covered(const std::vector<CUgraphNode>& nodes, const std::vector<CUgraphNode>& ends) {
  std::set<CUgraphNode> before;
  std::vector<CUgraphNode> rest = ends;
  while (!rest.empty()) {
    CUgraphNode node = rest.back();
    rest.pop_back();
    if (!before.insert(node).second) continue;
    rest.insert(rest.end(), node->after.begin(), node->after.end());
  }
  return std::ranges::all_of(nodes, [&](CUgraphNode node) { return before.contains(node); });
}

void AddSteps(CUgraph graph, const std::vector<std::size_t>& roots_after,
              std::vector<CUgraphExec_st::Step>* steps, std::vector<std::size_t>* leaves) {
  std::map<CUgraphNode, std::vector<std::size_t>> ends;  // a child graph ends with several steps
  std::set<CUgraphNode> inner;
  for (const auto& node : graph->nodes) {
    std::vector<std::size_t> after;
    for (CUgraphNode before : node->after) {
      inner.insert(before);
      after.insert(after.end(), ends[before].begin(), ends[before].end());
    }
    if (node->after.empty()) after = roots_after;
    if (node->child != nullptr) {
      AddSteps(node->child, after, steps, &ends[node.get()]);
      if (ends[node.get()].empty()) ends[node.get()] = after;
    } else {
      steps->push_back({node->task, std::move(after), node.get()});
      ends[node.get()] = {steps->size() - 1};
    }
  }
  for (const auto& node : graph->nodes) {
    if (inner.contains(node.get())) continue;
    leaves->insert(leaves->end(), ends[node.get()].begin(), ends[node.get()].end());
  }
}

// The steps nothing else comes after.
std::vector<std::size_t> LeavesOf(const std::vector<CUgraphExec_st::Step>& steps) {
  std::vector<bool> inner(steps.size());
  for (const auto& step : steps) {
    for (const std::size_t before : step.after) inner[before] = true;
  }
  std::vector<std::size_t> leaves;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!inner[i]) leaves.push_back(i);
  }
  return leaves;
}

}  // namespace

CUstreamCaptureMode ExchangeCaptureMode(CUstreamCaptureMode mode) {
  return std::exchange(thread_mode, mode);
}

void Invalidate(Capture* capture) { capture->invalidated = true; }

CUresult CheckUnsafe() {
  auto& captures = Driver::Get().captures;
  if (captures.empty() || thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED) {
    return CUDA_SUCCESS;
  }
  CUresult result = CUDA_SUCCESS;
  for (auto& [id, capture] : captures) {
    const bool here = capture->thread == ThreadId();
    const bool global = capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
                        thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
    if (!global && (!here || capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED)) continue;
    Invalidate(capture.get());
    result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return result;
}

CUresult CheckLegacy(CUstream stream, bool spoil) {
  auto& captures = Driver::Get().captures;
  if (captures.empty() || stream->queue != stream->context->order.legacy()) {
    return CUDA_SUCCESS;
  }
  CUresult result = CUDA_SUCCESS;
  for (auto& [id, capture] : captures) {
    const bool meets = std::ranges::any_of(capture->streams, [&](CUstream other) {
      return other->context == stream->context && other->queue->blocking;
    });
    if (!meets) continue;
    if (spoil) Invalidate(capture.get());
    result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  }
  return result;
}

CUresult BeginCapture(CUstream stream, CUstreamCaptureMode mode, CUgraph graph,
                      std::vector<CUgraphNode> after) {
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (stream->queue == stream->context->order.legacy())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture != nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  auto capture = std::make_unique<Capture>();
  capture->id = Driver::Get().NewId();
  capture->mode = mode;
  capture->thread = ThreadId();
  capture->origin = stream;
  capture->own_graph = graph == nullptr;
  capture->graph = graph == nullptr ? NewGraph() : graph;
  capture->streams.insert(stream);
  stream->capture = capture.get();
  stream->frontier = std::move(after);
  Driver::Get().captures.emplace(capture->id, std::move(capture));
  return CUDA_SUCCESS;
}

CUresult EndCapture(CUstream stream, CUgraph* graph) {
  *graph = nullptr;
  Capture* capture = stream->capture;
  if (capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->origin != stream) {
    Invalidate(capture);
    return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  }
  if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != ThreadId()) {
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  }
  CUresult result = CUDA_SUCCESS;
  if (capture->invalidated) {
    result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  } else {
    for (CUstream other : capture->streams) {
      if (!Covered(other->frontier, stream->frontier)) {
        result = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
      }
    }
  }
  if (result == CUDA_SUCCESS) {
    *graph = capture->graph;
  } else if (capture->own_graph) {
    capture->graph->kind = Kind::kDead;
  }
  Leave(capture);
  Driver::Get().captures.erase(capture->id);
  return result;
}

CUresult CaptureWait(CUstream stream, CUevent event) {
  auto& captures = Driver::Get().captures;
  const auto found = captures.find(event->capture);
  Capture* from = found == captures.end() ? nullptr : found->second.get();
  if (from == nullptr) {
    // An event from outside would tie the graph to work that is not in it.
    if (stream->capture == nullptr) return CUDA_ERROR_CAPTURED_EVENT;
    Invalidate(stream->capture);
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  if (stream->capture != nullptr && stream->capture != from) {
    Invalidate(stream->capture);
    Invalidate(from);
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  if (from->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (stream->queue == stream->context->order.legacy()) {
    Invalidate(from);
    return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  }
  stream->capture = from;
  from->streams.insert(stream);
  AddAll(&stream->frontier, event->frontier);
  return CUDA_SUCCESS;
}

CUresult CaptureTask(CUstream stream, Task task) {
  if (stream->capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  CUgraphNode node = AddNode(stream->capture->graph, std::move(task), stream->frontier);
  stream->frontier = {node};
  return CUDA_SUCCESS;
}

CUgraph NewGraph() { return new CUgraph_st; }

CUgraph CopyOf(CUgraph graph) {
  CUgraph copy = NewGraph();
  std::map<CUgraphNode, CUgraphNode> copies;
  for (const auto& node : graph->nodes) {
    std::vector<CUgraphNode> after;
    for (CUgraphNode before : node->after) after.push_back(copies[before]);
    CUgraphNode added = AddNode(copy, node->task, std::move(after));
    added->child = node->child == nullptr ? nullptr : CopyOf(node->child);
    copies[node.get()] = added;
  }
  return copy;
}

CUgraphNode AddNode(CUgraph graph, Task task, std::vector<CUgraphNode> after) {
  auto node = std::make_unique<CUgraphNode_st>();
  node->graph = graph;
  node->task = std::move(task);
  node->after = std::move(after);
  graph->nodes.push_back(std::move(node));
  return graph->nodes.back().get();
}

std::vector<CUgraphExec_st::Step> StepsOf(CUgraph graph) {
  std::vector<CUgraphExec_st::Step> steps;
  std::vector<std::size_t> leaves;
  AddSteps(graph, {}, &steps, &leaves);
  return steps;
}

CUresult LaunchGraph(CUgraphExec executable, CUstream stream) {
  const auto& steps = executable->steps;
  if (Capture* capture = stream->capture) {
    if (capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    std::vector<CUgraphNode> nodes;
    for (const auto& step : steps) {
      std::vector<CUgraphNode> after;
      for (const std::size_t before : step.after) after.push_back(nodes[before]);
      if (after.empty()) after = stream->frontier;
      nodes.push_back(AddNode(capture->graph, step.task, std::move(after)));
    }
    if (nodes.empty()) return CUDA_SUCCESS;
    stream->frontier.clear();
    for (const std::size_t leaf : LeavesOf(steps)) stream->frontier.push_back(nodes[leaf]);
    return CUDA_SUCCESS;
  }
  STAGGER_CUDA_TRY(CheckLegacy(stream));
  Timeline& timeline = stream->context->device->timeline;
  std::vector<OpId> after;
  stream->context->order.Append(stream->queue, timeline.NextId(), &after);
  if (executable->last != 0 && executable->timeline == &timeline) {
    after.push_back(executable->last);
  }
  const OpId start = timeline.Submit(MarkerIn(stream), after);
  std::vector<OpId> ids;
  for (const auto& step : steps) {
    after.clear();
    for (const std::size_t before : step.after) after.push_back(ids[before]);
    if (after.empty()) after.push_back(start);
    Work work = step.task.work;
    work.record.stream = stream->id;
    if (step.task.function != nullptr) {
      work.record.name = timeline.NameOf(step.task.function->kernel.name);
    }
    std::shared_ptr<Mark> mark;
    if (step.task.event != nullptr) {
      mark = std::make_shared<Mark>();
      step.task.event->SetRecord(mark, &timeline);
    }
    ids.push_back(timeline.Submit(work, after, std::move(mark)));
  }
  after = {start};
  for (const std::size_t leaf : LeavesOf(steps)) after.push_back(ids[leaf]);
  executable->last = timeline.Submit(MarkerIn(stream), after);
  executable->timeline = &timeline;
  stream->queue->tail = executable->last;
  timeline.Flush();
  return CUDA_SUCCESS;
}

}  // namespace stagger::vgpu
