#include "cuda_agent/observer.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "base/clock.h"
#include "cuda_agent/agent_link.h"
#include "cuda_agent/capture.h"
#include "cuda_agent/fault.h"
#include "cuda_agent/real_driver.h"
#include "cuda_agent/report.h"

namespace stagger::cuda_agent {
namespace {

using cuda::CallKind;
using PhaseKind = phase::CallKind;

// Longer ago, the copies that came in have nothing to do with what is launched now.
constexpr int kNoUuidTopic = 2;
constexpr Duration kMostPre = std::chrono::seconds{2};

struct ThreadFacts {
  TimePoint copies_from{};  // the first of the copies in that came last
  bool copying = false;
  Duration waited{};  // at the gate, in this inference
};
thread_local ThreadFacts mine;

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
    case CallKind::kEventRecord:
      return PhaseKind::kEventRecord;
    case CallKind::kQuery:
      return PhaseKind::kQuery;
    case CallKind::kStreamWait:
      return PhaseKind::kStreamWait;
    case CallKind::kHostFunction:
      return PhaseKind::kHostFunction;
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
  ForgetFault();
}

Observer::Passing Observer::Before(CallKind kind, bool per_thread, bool blocks,
                                   const Facts& facts) {
  Passing passing;
  if (Captures::any()) return passing;
  passing.stream = Plain(facts.stream, per_thread);
  phase::Call& call = passing.call;
  call.kind = KindOf(kind, facts);
  call.hash = facts.hash;
  call.bytes = facts.bytes;
  call.thread = reinterpret_cast<std::uint64_t>(&mine);
  CUcontext context = nullptr;
  RealCall<kAt_cuCtxGetCurrent>(&context);
  call.context = reinterpret_cast<std::uint64_t>(context);
  call.at = Now();
  if (call.kind == PhaseKind::kCopyIn) {
    if (!mine.copying) mine.copies_from = call.at;
    mine.copying = true;
  }

  phase::Verdict verdict;
  phase::Inference ended;
  bool warming_up = false;
  {
    agent::MutexLock lock(&lock_);
    verdict = detector_.Before(call);
    if (verdict.inference_ended) ended = detector_.last_inference();
    warming_up = detector_.state() == phase::State::kWarmingUp;
    if (Works(call.kind) && verdict.begun == 0) NoteStream(call, passing.stream);
  }
  if (verdict.inference_ended) {
    if (warming_up) {
      Agent().nudge();
      Agent().count_warmup();
    } else {
      InferenceEnded(ended);
    }
  }
  if (verdict.ended_before != 0) End(verdict.ended_before, false);
  if (verdict.begun != 0) Begin(verdict.begun, call, passing.stream);
  if (Works(call.kind)) mine.copying = false;
  passing.ended_after = verdict.ended_after;
  passing.waits =
      blocks && (call.kind == PhaseKind::kBlockingSync || call.kind == PhaseKind::kCopyOut);
  const bool told = passing.waits || call.kind == PhaseKind::kCopyOut;
  passing.watched = told || passing.ended_after != 0;
  return passing;
}

void Observer::After(const Passing& passing) {
  if (passing.waits || passing.call.kind == PhaseKind::kCopyOut) {
    agent::MutexLock lock(&lock_);
    detector_.Returned(passing.call, Now());
  }
  if (passing.ended_after != 0) End(passing.ended_after, passing.waits);
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
  if (result != CUDA_SUCCESS) {
    Agent().say_once(kNoUuidTopic,
                     "running uncontrolled: the CUDA driver does not tell which GPU it is "
                     "(cuDeviceGetUuid)");
    return -1;
  }
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
  body.context = reinterpret_cast<CUcontext>(call.context);
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
  CUcontext context = nullptr;
  RealCall<kAt_cuCtxGetCurrent>(&context);
  const int device = DeviceOfContext(context);
  if (device < 0 || inference.bodies == 0) return;
  const Duration call = std::max(inference.end - inference.begin, Duration{});
  const Duration before = inference.body_begin - inference.begin + inference.body;
  Agent().ended(static_cast<std::uint32_t>(device),
                static_cast<std::uint64_t>(std::max(call - before, Duration{}).count()),
                static_cast<std::uint64_t>(call.count()));
}

}  // namespace stagger::cuda_agent
