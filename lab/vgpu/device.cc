#include "lab/vgpu/device.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "lab/vgpu/driver_values.h"

namespace stagger::vgpu {
namespace {

// Longer than anything runs. A kernel that never ends takes this long.
constexpr Duration kForever = std::chrono::hours{24 * 365};

}  // namespace

struct Device::Node {
  ProcessKey process = 0;
  Op op;
  TimePoint submitted{};
  std::vector<Node*> followers;  // wait for this one
  int waiting = 0;               // for how many others this one waits
  bool started = false;
  bool wanted = false;
  bool running = false;  // a kernel, on the processor now
  std::size_t job = 0;   // while it runs
  Duration left{};       // a kernel's, when it is not running
  double demand = 1;     // as capped by the process's share
  TimePoint begin{};
  TimePoint earliest{};     // scratch of FindWake
  std::uint64_t round = 0;  // of FindWake, when `earliest` was found
};

struct Device::Process {
  ProcessKey key = 0;
  double share = 1;
  int failure = 0;
  std::map<std::uint64_t, Node> nodes;  // what is not over
  std::deque<Node*> kernels;            // started and not over
};

Device::Device(const Model& model, Mode mode) : model_(model), mode_(mode), gpu_(model.contention) {
  engines_[0].bytes_per_ns = engines_[1].bytes_per_ns = model_.pcie_gbps;  // GB/s is bytes per ns
  engines_[2].bytes_per_ns = model_.local_gbps;
}

Device::~Device() = default;

void Device::Join(ProcessKey process, double share) {
  auto added = std::make_unique<Process>();
  added->key = process;
  added->share = std::clamp(share, 0.01, 1.0);
  processes_.emplace(process, std::move(added));
}

void Device::Leave(ProcessKey process, TimePoint at) {
  MoveTo(at);
  const auto found = processes_.find(process);
  if (found == processes_.end()) return;
  for (auto& [id, node] : found->second->nodes) {
    const bool kernel = node.started && node.op.kind == OpKind::kKernel;
    Stop(&node);
    // What was on the processor until now belongs into the log.
    if (kernel) Report(node, CUDA_ERROR_DEINITIALIZED, false);
  }
  nodes_ -= found->second->nodes.size();
  processes_.erase(found);
  if (turn_ == process) NextSlice();
  StartReady();
  CountBusy();
  FindWake();
}

void Device::Submit(ProcessKey process, const Op& op, const std::vector<std::uint64_t>& after,
                    TimePoint at) {
  MoveTo(at);
  const auto found = processes_.find(process);
  CHECK(found != processes_.end());
  Process& owner = *found->second;
  const auto [place, fresh] = owner.nodes.try_emplace(op.id);
  if (!fresh) return;  // an app's nonsense: the first one counts
  Node& node = place->second;
  ++nodes_;
  node.process = process;
  node.op = op;
  node.submitted = now_;
  const bool wants = op.kind == OpKind::kHost || op.fault != Fault::kNone;
  node.wanted = wants;
  for (const std::uint64_t id : after) {
    const auto before = owner.nodes.find(id);
    if (before == owner.nodes.end() || id == op.id) continue;
    before->second.followers.push_back(&node);
    ++node.waiting;
  }
  if (node.waiting == 0) {
    ready_.push_back(&node);
    StartReady();
    CountBusy();
  }
  if (wants) FindWake();
}

void Device::Want(ProcessKey process, std::uint64_t op) {
  const auto found = processes_.find(process);
  if (found == processes_.end()) return;
  const auto node = found->second->nodes.find(op);
  if (node == found->second->nodes.end() || node->second.wanted) return;
  node->second.wanted = true;
  FindWake();
}

void Device::HostDone(ProcessKey process, std::uint64_t op, TimePoint at) {
  MoveTo(at);
  const auto found = processes_.find(process);
  if (found == processes_.end()) return;
  const auto node = found->second->nodes.find(op);
  if (node == found->second->nodes.end() || node->second.op.kind != OpKind::kHost ||
      !node->second.started) {
    return;
  }
  End(&node->second, CUDA_SUCCESS, node->second.begin);
  StartReady();
  CountBusy();
  FindWake();
}

void Device::Advance(TimePoint now) {
  const TimePoint before = now_;
  MoveTo(now);
  // A bound that has come true too early is found again from where things stand.
  if (now_ != before && wake_ <= now_) FindWake();
}

std::vector<Outcome> Device::Take() { return std::exchange(outcomes_, {}); }

int Device::FailureOf(ProcessKey process) const {
  const auto found = processes_.find(process);
  return found == processes_.end() ? 0 : found->second->failure;
}

bool Device::poisoned() const {
  return mode_ == Mode::kMps && std::ranges::any_of(processes_, [](const auto& entry) {
           return entry.second->failure == CUDA_ERROR_ILLEGAL_ADDRESS;
         });
}

Duration Device::BusyTime(TimePoint now) const {
  return busy_since_ == kNever ? busy_ : busy_ + (std::max(now, now_) - busy_since_);
}

void Device::CountBusy() {
  const bool busy = !jobs_.empty();
  if (busy == (busy_since_ != kNever)) return;
  if (!busy) busy_ += now_ - busy_since_;
  busy_since_ = busy ? now_ : kNever;
}

void Device::MoveTo(TimePoint at) {
  while (true) {
    const Next next = NextEvent();
    if (next.event == Event::kNone || next.at > at) break;
    now_ = std::max(now_, next.at);
    gpu_.Advance(now_);
    Happen(next);
    StartReady();
    CountBusy();
  }
  if (at > now_) {
    now_ = at;
    gpu_.Advance(now_);
  }
}

Device::Next Device::NextEvent() const {
  Next next;
  if (const auto kernel = gpu_.NextCompletion()) {
    next = {kernel->first, Event::kKernel, kernel->second};
  }
  for (std::size_t i = 0; i < std::size(engines_); ++i) {
    if (engines_[i].end < next.at) next = {engines_[i].end, Event::kEngine, i};
  }
  if (slice_end_ < next.at) next = {slice_end_, Event::kSlice, 0};
  return next;
}

void Device::Happen(const Next& next) {
  switch (next.event) {
    case Event::kKernel: {
      Node* node = jobs_.at(next.which);
      End(node, CUDA_SUCCESS, node->begin);
      break;
    }
    case Event::kEngine: {
      Engine& engine = engines_[next.which];
      Node* node = engine.queue.front();
      engine.queue.pop_front();
      engine.end = kNever;
      StartCopy(&engine);
      End(node, CUDA_SUCCESS, node->begin);
      break;
    }
    case Event::kSlice:
      NextSlice();
      break;
    case Event::kNone:
      break;
  }
}

void Device::StartReady() {
  while (!ready_.empty()) {
    Node* node = ready_.front();
    ready_.pop_front();
    Start(node);
  }
}

void Device::Start(Node* node) {
  node->started = true;
  node->begin = now_;
  Process& owner = *processes_.at(node->process);
  if (owner.failure != 0) return End(node, owner.failure, now_);
  switch (node->op.kind) {
    case OpKind::kKernel:
      return StartKernel(node);
    case OpKind::kHost:
      return Report(*node, CUDA_SUCCESS, true);
    case OpKind::kCopyHtoD:
    case OpKind::kCopyDtoH:
    case OpKind::kCopyDtoD:
    case OpKind::kMemset: {
      Engine* engine = EngineOf(node->op.kind);
      engine->queue.push_back(node);
      if (engine->queue.size() == 1) StartCopy(engine);
      return;
    }
    case OpKind::kMarker:
    case OpKind::kCount:
      return End(node, CUDA_SUCCESS, now_);
  }
}

void Device::StartKernel(Node* node) {
  Process& owner = *processes_.at(node->process);
  if (node->op.fault == Fault::kLaunch || node->op.fault == Fault::kAddress) {
    return FailFrom(&owner, node->op.fault);
  }
  node->left = node->op.fault == Fault::kHang ? kForever : node->op.cost;
  node->demand = node->op.demand;
  // A kernel that would fill more than its process may takes as much longer.
  if (node->demand > owner.share) {
    const double longer = static_cast<double>(node->left.count()) * (node->demand / owner.share);
    node->left = Duration{std::llround(std::min(longer, static_cast<double>(kForever.count())))};
    node->demand = owner.share;
  }
  owner.kernels.push_back(node);
  if (mode_ == Mode::kMps) return Run(node);
  if (turn_ == 0) {
    turn_ = node->process;
    slice_end_ = now_ + model_.slice;
  }
  if (turn_ == node->process) Run(node);
}

void Device::Run(Node* node) {
  node->job = ++last_job_;
  node->running = true;
  jobs_.emplace(node->job, node);
  gpu_.Start(node->job, node->op.phase, node->left, node->demand);
}

void Device::Pause(Node* node) {
  node->left = gpu_.Left(node->job);
  gpu_.Finish(node->job);
  jobs_.erase(node->job);
  node->running = false;
}

// The next process in the order of keys with kernels to run; the same again if no other has any.
void Device::NextSlice() {
  if (mode_ != Mode::kTimeslice) return;
  const ProcessKey before = turn_;
  auto next = processes_.upper_bound(before);
  turn_ = 0;
  for (std::size_t i = 0; i < processes_.size(); ++i, ++next) {
    if (next == processes_.end()) next = processes_.begin();
    if (next->second->kernels.empty()) continue;
    turn_ = next->first;
    break;
  }
  slice_end_ = turn_ == 0 ? kNever : now_ + model_.slice;
  if (turn_ == before) return;
  if (const auto old = processes_.find(before); old != processes_.end()) {
    for (Node* node : old->second->kernels) {
      if (node->running) Pause(node);
    }
  }
  if (turn_ == 0) return;
  for (Node* node : processes_.at(turn_)->kernels) Run(node);
}

Device::Engine* Device::EngineOf(OpKind kind) {
  return &engines_[kind == OpKind::kCopyHtoD ? 0 : kind == OpKind::kCopyDtoH ? 1 : 2];
}

Duration Device::CopyTime(const Engine& engine, const Op& op) const {
  return model_.copy_latency +
         Duration{std::llround(static_cast<double>(op.bytes) / engine.bytes_per_ns)};
}

void Device::StartCopy(Engine* engine) {
  if (engine->queue.empty()) return;
  Node* node = engine->queue.front();
  node->begin = now_;
  engine->end = now_ + CopyTime(*engine, node->op);
}

void Device::End(Node* node, int result, TimePoint begin) {
  Process& owner = *processes_.at(node->process);
  node->begin = begin;
  if (node->running) {
    gpu_.Finish(node->job);
    jobs_.erase(node->job);
  }
  std::erase(owner.kernels, node);
  Report(*node, result, false);
  for (Node* follower : node->followers) {
    if (--follower->waiting == 0) ready_.push_back(follower);
  }
  owner.nodes.erase(node->op.id);
  --nodes_;
  if (turn_ == owner.key && owner.kernels.empty() && mode_ == Mode::kTimeslice) {
    // What follows at once in this process still belongs to its slice.
    const bool more = std::ranges::any_of(ready_, [&](const Node* next) {
      return next->process == owner.key && next->op.kind == OpKind::kKernel;
    });
    if (!more) NextSlice();
  }
}

void Device::Report(const Node& node, int result, bool run_host) {
  outcomes_.push_back({node.process, node.op, node.submitted, node.begin, now_, result, run_host,
                       node.wanted || result != CUDA_SUCCESS});
}

void Device::FailFrom(Process* process, Fault fault) {
  if (fault == Fault::kLaunch) return Fail(process, CUDA_ERROR_LAUNCH_FAILED);
  Fail(process, CUDA_ERROR_ILLEGAL_ADDRESS);
  if (mode_ != Mode::kMps) return;
  for (auto& [key, other] : processes_) {
    if (other->failure == 0) Fail(other.get(), CUDA_ERROR_MPS_CLIENT_TERMINATED);
  }
}

void Device::Fail(Process* process, int result) {
  process->failure = result;
  for (auto& [id, node] : process->nodes) Stop(&node);
  for (auto& [id, node] : process->nodes) {
    if (!node.started) node.begin = now_;
    Report(node, result, false);
  }
  nodes_ -= process->nodes.size();
  process->nodes.clear();
  process->kernels.clear();
  if (turn_ == process->key) NextSlice();
}

// Takes it off the processor, its engine and the list of what is ready. It stays in `nodes`.
void Device::Stop(Node* node) {
  if (node->running) {
    gpu_.Finish(node->job);
    jobs_.erase(node->job);
    node->running = false;
  }
  std::erase(ready_, node);
  std::erase(processes_.at(node->process)->kernels, node);
  for (Engine& engine : engines_) {
    if (engine.queue.empty()) continue;
    const bool running = engine.queue.front() == node;
    std::erase(engine.queue, node);
    if (!running) continue;
    engine.end = kNever;
    StartCopy(&engine);
  }
}

// A bound that comes true too early costs a wake-up each time, so it takes in what is certain: the
// copies before it in its engine's queue, the slice it is not in.
TimePoint Device::EarliestEnd(const Node& node) const {
  if (node.running) return gpu_.EarliestEnd(node.job);
  const TimePoint start = std::max(now_, node.earliest);
  if (start == kNever) return kNever;
  switch (node.op.kind) {
    case OpKind::kKernel:
      if (node.op.fault == Fault::kLaunch || node.op.fault == Fault::kAddress) return start;
      if (!node.started) return start + node.op.cost;
      // Another process's slice: it lasts to its end, or until that process runs out of kernels.
      if (const auto next = gpu_.NextCompletion()) {
        return std::min(next->first, slice_end_) + node.left;
      }
      return start + node.left;
    case OpKind::kHost:
      // Handing it over is what must not be late; its end is told us.
      return node.started ? kNever : start;
    case OpKind::kMarker:
    case OpKind::kCount:
      return start;
    default: {
      const Engine& engine = *const_cast<Device*>(this)->EngineOf(node.op.kind);
      if (!node.started) return start + CopyTime(engine, node.op);
      TimePoint end = engine.end;
      for (const Node* queued : engine.queue) {
        if (queued != engine.queue.front()) end = end + CopyTime(engine, queued->op);
        if (queued == &node) break;
      }
      return end;
    }
  }
}

void Device::FindWake() {
  wake_ = kNever;
  for (auto& [key, process] : processes_) {
    const auto last_wanted = std::find_if(process->nodes.rbegin(), process->nodes.rend(),
                                          [](const auto& entry) { return entry.second.wanted; });
    if (last_wanted == process->nodes.rend()) continue;
    const std::uint64_t round = ++round_;
    // By rising id: what comes before an operation has a smaller one.
    for (auto& [id, node] : process->nodes) {
      if (node.round != round) node.earliest = now_;
      const TimePoint end = EarliestEnd(node);
      if (node.wanted) wake_ = std::min(wake_, end);
      if (id == last_wanted->first) break;
      for (Node* follower : node.followers) {
        if (follower->round != round) {
          follower->round = round;
          follower->earliest = now_;
        }
        follower->earliest = std::max(follower->earliest, end);
      }
    }
  }
}

}  // namespace stagger::vgpu
