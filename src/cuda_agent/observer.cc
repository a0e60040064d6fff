#include "cuda_agent/observer.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "base/clock.h"
#include "cuda_agent/agent_link.h"
#include "cuda_agent/capture.h"
#include "cuda_agent/real_driver.h"
#include "cuda_agent/report.h"

namespace stagger::cuda_agent {
namespace {

using cuda::CallKind;
using PhaseKind = phase::CallKind;

// Longer ago, the copies that came in have nothing to do with what is launched now.
constexpr Duration kMostPre = std::chrono::seconds{2};

// So many calls may pass between two readings of the clock.
constexpr int kMostUntimed = 8;
// Queries of one thing in a row: from the third on they are a wait (docs/phases.md). Of a long row
// every so manieth is told, so that the thread does not look idle.
constexpr unsigned kRow = 3;
constexpr unsigned kToldOfRow = 64;

struct ThreadFacts {
  TimePoint at{};  // when the clock was last read
  int untimed = 0;
  // Of the last call that put work on a stream. A stream keeps its context, so the driver need not
  // be asked again; a default stream's is whichever is current.
  CUstream stream = nullptr;
  std::uint64_t context = 0;
  std::uint64_t polled = 0;  // what was asked last
  unsigned polls = 0;        // how often in a row
  TimePoint copies_from{};   // the first of the copies in that came last
  bool copying = false;
  Duration waited{};  // at the gate, in this inference
};
constinit thread_local ThreadFacts mine;

std::uint64_t CurrentContext() {
  CUcontext context = nullptr;
  RealCall<kAt_cuCtxGetCurrent>(&context);
  return reinterpret_cast<std::uint64_t>(context);
}

CUstream Plain(CUstream stream, bool per_thread) {
  if (stream != nullptr) return stream;
  return per_thread ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY;
}

bool OnDevice(CUdeviceptr address, CUmemorytype type) {
  if (type != 0 && type != CU_MEMORYTYPE_UNIFIED) return type != CU_MEMORYTYPE_HOST;
  unsigned int found = 0;
  const CUresult result = RealCall<kAt_cuPointerGetAttribute>(
      static_cast<void*>(&found), CUpointer_attribute{CU_POINTER_ATTRIBUTE_MEMORY_TYPE}, address);
  // What the driver does not know is ordinary host memory.
  return result == CUDA_SUCCESS && found != CU_MEMORYTYPE_HOST;
}

PhaseKind CopyKind(const Facts& facts) {
  const bool to_device = OnDevice(facts.to, facts.to_type);
  const bool from_device = OnDevice(facts.from, facts.from_type);
  if (to_device == from_device) return PhaseKind::kCopyOnDevice;
  return to_device ? PhaseKind::kCopyIn : PhaseKind::kCopyOut;
}

PhaseKind KindOf(CallKind kind, const Facts& facts) {
  switch (kind) {
    case CallKind::kGraphLaunch:
      return PhaseKind::kGraphLaunch;
    case CallKind::kCopyHtoD:
      return PhaseKind::kCopyIn;
    case CallKind::kCopyDtoH:
      return PhaseKind::kCopyOut;
    case CallKind::kCopyDtoD:
      return PhaseKind::kCopyOnDevice;
    case CallKind::kCopy:
      return CopyKind(facts);
    case CallKind::kMemset:
      return PhaseKind::kMemset;
    case CallKind::kSync:
    case CallKind::kEventSync:
      return PhaseKind::kBlockingSync;
    case CallKind::kStreamWait:
      return PhaseKind::kStreamWait;
    default:
      return PhaseKind::kLaunch;
  }
}

bool Works(PhaseKind kind) { return kind == PhaseKind::kLaunch || kind == PhaseKind::kGraphLaunch; }

}  // namespace

Observer& Observer::Get() {
  // Never destroyed: the app's threads may still launch while the process exits.
  alignas(Observer) static unsigned char storage[sizeof(Observer)];
  static Observer* const observer = [] {
    auto* made = ::new (storage) Observer();
    if (Report::Get().wanted()) std::atexit(&AtExit);
    pthread_atfork([] { Get().BeforeFork(); }, [] { Get().AfterForkInParent(); },
                   [] { Get().AfterForkInChild(); });
    return made;
  }();
  return *observer;
}

void Observer::AfterForkInChild() {
  lock_.Renew();
  open_ = {};
  devices_ = {};
  watch_.AfterForkInChild();
  Report::Get().AfterForkInChild();
  Captures::AfterForkInChild();
}

Observer::Passing Observer::Before(CallKind kind, bool per_thread, bool blocks,
                                   const Facts& facts) {
  Passing passing;
  mine.polls = 0;
  if (Captures::any()) return passing;
  passing.stream = Plain(facts.stream, per_thread);
  phase::Call& call = passing.call;
  call.kind = KindOf(kind, facts);
  call.hash = facts.hash;
  call.bytes = facts.bytes;
  call.thread = reinterpret_cast<std::uint64_t>(&mine);
  const bool works = Works(call.kind);
  const bool same_stream = works && passing.stream == mine.stream && facts.stream != nullptr;
  call.context = same_stream ? mine.context : CurrentContext();

  phase::Verdict verdict;
  phase::Inference ended;
  bool warming_up = false;
  {
    agent::MutexLock lock(&lock_);
    if (++mine.untimed >= kMostUntimed || detector_.NeedsTime(call)) ReadClock();
    call.at = mine.at;
    verdict = detector_.Before(call);
    if (verdict.inference_ended) ended = detector_.last_inference();
    warming_up = detector_.state() == phase::State::kWarmingUp;
    if (works && verdict.begun == 0 && !same_stream) NoteStream(call, passing.stream);
  }
  if (call.kind == PhaseKind::kCopyIn) {
    if (!mine.copying) mine.copies_from = call.at;
    mine.copying = true;
  }
  if (verdict.inference_ended) NoteInference(ended, warming_up);
  if (verdict.ended_before != 0) End(verdict.ended_before, false);
  if (verdict.begun != 0) Begin(verdict.begun, call, passing.stream);
  if (works) {
    mine.copying = false;
    mine.stream = passing.stream;
    mine.context = call.context;
  }
  passing.ended_after = verdict.ended_after;
  passing.waits =
      blocks && (call.kind == PhaseKind::kBlockingSync || call.kind == PhaseKind::kCopyOut);
  if (passing.waits && facts.stream != nullptr && facts.stream != CU_STREAM_LEGACY &&
      facts.stream != CU_STREAM_PER_THREAD) {
    passing.waited_for = facts.stream;
    passing.watched_before = watch_.watched();
  }
  const bool told = passing.waits || call.kind == PhaseKind::kCopyOut;
  passing.watched = told || passing.ended_after != 0;
  return passing;
}

void Observer::After(const Passing& passing) {
  if (passing.waits || passing.call.kind == PhaseKind::kCopyOut) {
    agent::MutexLock lock(&lock_);
    ReadClock();
    detector_.Returned(passing.call, mine.at);
  }
  if (passing.ended_after != 0) End(passing.ended_after, passing.waits);
  if (passing.waited_for != nullptr) watch_.AppWaited(passing.waited_for, passing.watched_before);
}

void Observer::Passed() { mine.polls = 0; }

phase::BodyId Observer::BeforeQuery(std::uint64_t what) {
  if (mine.polled != what) mine.polls = 0;
  mine.polled = what;
  ++mine.polls;
  if (mine.polls != kRow && mine.polls % kToldOfRow != 0) return 0;
  return TellQueries(mine.polls == kRow ? kRow : 1);
}

void Observer::AfterQuery(CUresult result) {
  // Only the one that found it done says when the wait was over.
  if (result == CUDA_ERROR_NOT_READY || mine.polls < kRow) return;
  TellQueries(1);
  mine.polls = 0;
}

phase::BodyId Observer::TellQueries(unsigned count) {
  if (Captures::any()) return 0;
  phase::Call call;
  call.kind = PhaseKind::kQuery;
  call.hash = mine.polled;
  call.context = CurrentContext();
  call.thread = reinterpret_cast<std::uint64_t>(&mine);
  phase::BodyId over = 0;
  phase::Inference ended;
  bool inference_ended = false;
  bool warming_up = false;
  {
    agent::MutexLock lock(&lock_);
    ReadClock();
    call.at = mine.at;
    for (unsigned i = 0; i < count; ++i) {
      const phase::Verdict verdict = detector_.Before(call);
      over = std::max(over, verdict.ended_after);
      inference_ended |= verdict.inference_ended;
    }
    if (inference_ended) ended = detector_.last_inference();
    warming_up = detector_.state() == phase::State::kWarmingUp;
  }
  if (inference_ended) NoteInference(ended, warming_up);
  return over;
}

void Observer::ReadClock() {
  mine.at = Now();
  mine.untimed = 0;
}

void Observer::NoteInference(const phase::Inference& inference, bool warming_up) {
  if (!warming_up) return InferenceEnded(inference);
  Agent().nudge();
  Agent().count_warmup();
}

int Observer::DeviceOfContext(CUcontext context) {
  CUdevice ordinal = -1;
  if (context == nullptr || RealCall<kAt_cuCtxGetDevice>(&ordinal) != CUDA_SUCCESS) return -1;
  for (const KnownDevice& known : devices_) {
    if (known.ordinal == ordinal && known.id >= 0) return known.id;
  }
  CUuuid uuid{};
  CUresult result = RealCall<kAt_cuDeviceGetUuid_v2>(&uuid, ordinal);
  if (result == CUDA_ERROR_NOT_FOUND) result = RealCall<kAt_cuDeviceGetUuid>(&uuid, ordinal);
  if (result != CUDA_SUCCESS) return -1;
  const int id = Agent().device_of(reinterpret_cast<const std::uint8_t*>(uuid.bytes));
  agent::MutexLock lock(&lock_);
  for (KnownDevice& known : devices_) {
    if (known.ordinal != ordinal && known.ordinal != -1) continue;
    known = {ordinal, id};
    break;
  }
  return id;
}

void Observer::Begin(phase::BodyId id, const phase::Call& call, CUstream stream) {
  Agent().nudge();
  OpenBody body;
  body.id = id;
  body.context = reinterpret_cast<CUcontext>(CurrentContext());
  body.thread = call.thread;
  const bool copied = mine.copying && call.at - mine.copies_from < kMostPre;
  body.call_start = copied ? mine.copies_from : call.at;
  body.Add(stream);
  const int device = DeviceOfContext(body.context);
  if (device >= 0) {
    const Duration since_call = call.at - body.call_start;
    body.ticket = Agent().enter(static_cast<std::uint32_t>(device),
                                static_cast<std::uint64_t>(since_call.count()));
  }
  body.begun = Now();
  mine.waited = body.begun - call.at;
  Report::Get().Gated();
  agent::MutexLock lock(&lock_);
  if (device >= 0) detector_.Returned(call, body.begun);
  OpenBody* slot = FindOpen(0);
  if (slot == nullptr)
    slot = &open_[id % kMaxOpen];  // bodies without end: the turn's lease ends it
  *slot = body;
}

OpenBody* Observer::FindOpen(phase::BodyId id) {
  const auto found = std::ranges::find(open_, id, &OpenBody::id);
  return found != open_.end() ? &*found : nullptr;
}

// Under the lock.
void Observer::NoteStream(const phase::Call& call, CUstream stream) {
  for (OpenBody& body : open_) {
    if (body.id != 0 && body.thread == call.thread) body.Add(stream);
  }
}

void Observer::End(phase::BodyId id, bool device_is_done) {
  OpenBody body;
  {
    agent::MutexLock lock(&lock_);
    OpenBody* open = FindOpen(id);
    if (open == nullptr) return;
    body = *open;
    *open = {};
    if (device_is_done) detector_.BodyMeasured(id, Now() - body.begun);
  }
  if (body.ticket.seq == 0) return;
  const auto measured = [](phase::BodyId done, Duration device_time) {
    Observer& self = Get();
    agent::MutexLock lock(&self.lock_);
    self.detector_.BodyMeasured(done, device_time);
  };
  if (device_is_done || !watch_.Watch(body, measured)) Agent().leave(body.ticket, 0);
}

void Observer::AtExit() {
  Observer& self = Get();
  agent::MutexLock lock(&self.lock_);
  Report::Get().Write(self.detector_);
}

void Observer::InferenceEnded(const phase::Inference& inference) {
  Report::Get().Add(inference, mine.waited);
  mine.waited = Duration{};
  const int device = DeviceOfContext(reinterpret_cast<CUcontext>(CurrentContext()));
  if (device < 0 || inference.bodies == 0) return;
  const Duration call = std::max(inference.end - inference.begin, Duration{});
  const Duration before = inference.body_begin - inference.begin + inference.body;
  Agent().ended(static_cast<std::uint32_t>(device),
                static_cast<std::uint64_t>(std::max(call - before, Duration{}).count()),
                static_cast<std::uint64_t>(call.count()));
}

}  // namespace stagger::cuda_agent
