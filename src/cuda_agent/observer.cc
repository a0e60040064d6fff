#include "cuda_agent/observer.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <span>

#include "base/clock.h"
#include "cuda_agent/agent_link.h"
#include "cuda_agent/capture.h"
#include "cuda_agent/fault.h"
#include "cuda_agent/real_driver.h"
#include "cuda_agent/report.h"
#include "cuda_agent/turn_log.h"

namespace stagger::cuda_agent {
namespace {

using cuda::CallKind;
using PhaseKind = phase::CallKind;

// Longer ago, the copies that came in have nothing to do with what is launched now.
constexpr int kNoUuidTopic = 2;
constexpr Duration kMostPre = std::chrono::seconds{2};
// A marked body that got no more launches for so long goes back when the device is done with it.
constexpr Duration kIdleBody = std::chrono::milliseconds{3};
// A body of the same thread that lasts longer is waited for no more; its lease will end.
constexpr Duration kLongestOwnBody = std::chrono::seconds{5};

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
  TimePoint label_from{};  // when the framework's call that the thread is inside of began
  bool labelled = false;
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

// While something in the process captures: whether this call belongs to a capture.
bool IsCaptured(bool has_stream, CUstream stream) {
  if (Captures::begun_here() > 0) return true;
  if (!has_stream) return false;
  // An error says that the stream cannot be used while others capture. Asking spoils nothing.
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  return RealCall<kAt_cuStreamIsCapturing>(stream, &status) != CUDA_SUCCESS ||
         status != CU_STREAM_CAPTURE_STATUS_NONE;
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

}  // namespace

Observer& Observer::Get() {
  // Never destroyed: the app's threads may still launch while the process exits.
  alignas(Observer) static unsigned char storage[sizeof(Observer)];
  static Observer* const observer = [] {
    auto* made = ::new (storage) Observer();
    Agent().watch_framework([](bool begins) { return Get().FrameworkCall(begins); });
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
  open_end_ = 0;
  devices_ = {};
  gated_before_ = false;
  watch_.AfterForkInChild();
  Captures::AfterForkInChild();
  ForgetFault();
}

Observer::Passing Observer::Before(CallKind kind, bool per_thread, bool blocks,
                                   const Facts& facts) {
  Passing passing;
  mine.polls = 0;
  const bool launches = kind == CallKind::kLaunch || kind == CallKind::kGraphLaunch;
  passing.stream = Plain(facts.stream, per_thread);
  if (Captures::any() && IsCaptured(facts.has_stream, passing.stream)) return passing;
  std::uint64_t number = 0;
  phase::Call& call = passing.call;
  call.kind = KindOf(kind, facts);
  call.hash = facts.hash;
  call.bytes = facts.bytes;
  call.thread = reinterpret_cast<std::uint64_t>(&mine);
  const bool same_stream = launches && passing.stream == mine.stream && facts.stream != nullptr;
  call.context = same_stream ? mine.context : CurrentContext();

  lock_.Lock();
  if (launches) number = ++launches_;
  if (++mine.untimed >= kMostUntimed) ReadClock();
  call.at = mine.at;
  if (kind == CallKind::kLaunch && same_stream && detector_.IsAsKnown(call)) {
    NoteLaunch(call, passing.stream, number);
    lock_.Unlock();
    mine.copying = false;
    return passing;
  }
  if (mine.untimed > 0 && detector_.NeedsTime(call)) ReadClock();
  call.at = mine.at;
  const phase::Verdict verdict = detector_.Before(call);
  if (launches && verdict.begun == 0) NoteLaunch(call, passing.stream, number);
  phase::State state{};
  if (verdict.begun != 0 || verdict.inference_ended) [[unlikely]]
    state = detector_.state();
  if (verdict.inference_ended) [[unlikely]] {
    const phase::Inference ended = detector_.last_inference();
    Report::Get().Note(detector_);
    lock_.Unlock();
    InferenceEnded(ended, state);
  } else {
    lock_.Unlock();
  }
  if (call.kind == PhaseKind::kCopyIn) {
    if (!mine.copying) mine.copies_from = call.at;
    mine.copying = true;
  }
  if (verdict.ended_before != 0) End(verdict.ended_before, false);
  if (verdict.begun != 0) Begin(verdict.begun, call, passing.stream, state, number);
  if (launches) {
    mine.copying = false;
    mine.stream = passing.stream;
    mine.context = call.context;
  }
  passing.ended_after = verdict.ended_after;
  passing.marked = verdict.marked;
  passing.waits =
      blocks && (call.kind == PhaseKind::kBlockingSync || call.kind == PhaseKind::kCopyOut);
  const bool told = passing.waits || call.kind == PhaseKind::kCopyOut;
  passing.watched = told || passing.ended_after != 0 || passing.marked != 0;
  return passing;
}

void Observer::After(const Passing& passing) {
  if (passing.waits || passing.call.kind == PhaseKind::kCopyOut) {
    agent::MutexLock lock(&lock_);
    ReadClock();
    detector_.Returned(passing.call, mine.at);
  }
  if (passing.ended_after != 0) End(passing.ended_after, passing.waits);
  if (passing.marked != 0) Mark(passing.marked, passing.stream);
}

// After a launch of the body.
void Observer::Mark(phase::BodyId id, CUstream stream) {
  OpenBody body;
  {
    agent::MutexLock lock(&lock_);
    const OpenBody* open = FindOpen(id);
    if (open == nullptr || open->ticket.seq == 0) return;
    body = *open;
  }
  const std::size_t place = body.PlaceOf(stream);
  if (place >= OpenBody::kMaxStreams) return;
  const CUevent mark = watch_.Mark(body.context, body.marks[place], stream);
  {
    agent::MutexLock lock(&lock_);
    OpenBody* open = FindOpen(id);
    if (open == nullptr) return;
    open->marks[place] = mark;
    open->marked_launch = body.last_launch;
    open->marked = Now();
  }
  watch_.KeepLooking([] { return Get().EndIdleBodies(); });
}

// On the watch's thread: whether there are marked bodies left.
bool Observer::EndIdleBodies() {
  std::array<OpenBody, kMaxOpen> open;
  {
    agent::MutexLock lock(&lock_);
    open = open_;
  }
  bool any = false;
  for (const OpenBody& body : open) {
    if (body.id == 0 || body.marked == TimePoint{}) continue;
    any = true;
    if (Now() - body.marked < kIdleBody || !BodyWatch::PassedMarks(body)) continue;
    {
      agent::MutexLock lock(&lock_);
      OpenBody* still = FindOpen(body.id);
      // It went on meanwhile, or is about to.
      if (still == nullptr || still->last_launch != body.marked_launch) continue;
      *still = {};
      detector_.GivenBack(body.id);
    }
    watch_.ForgetMarks(body);
    GiveBack(body, Now());
  }
  return any;
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
  if (Captures::any() && IsCaptured(false, nullptr)) return 0;
  phase::Call call;
  call.kind = PhaseKind::kQuery;
  call.hash = mine.polled;
  call.context = CurrentContext();
  call.thread = reinterpret_cast<std::uint64_t>(&mine);
  phase::BodyId over = 0;
  phase::Inference ended;
  bool inference_ended = false;
  phase::State state{};
  {
    agent::MutexLock lock(&lock_);
    ReadClock();
    call.at = mine.at;
    for (unsigned i = 0; i < count; ++i) {
      const phase::Verdict verdict = detector_.Before(call);
      over = std::max(over, verdict.ended_after);
      inference_ended |= verdict.inference_ended;
    }
    if (inference_ended) {
      ended = detector_.last_inference();
      Report::Get().Note(detector_);
    }
    state = detector_.state();
  }
  if (inference_ended) InferenceEnded(ended, state);
  return over;
}

void Observer::ReadClock() {
  mine.at = Now();
  mine.untimed = 0;
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

void Observer::Begin(phase::BodyId id, const phase::Call& call, CUstream stream, phase::State state,
                     std::uint64_t number) {
  Agent().nudge();
  OpenBody body;
  body.id = id;
  body.context = reinterpret_cast<CUcontext>(CurrentContext());
  body.thread = call.thread;
  const bool copied = mine.copying && call.at - mine.copies_from < kMostPre;
  body.call_start = mine.labelled ? mine.label_from : copied ? mine.copies_from : call.at;
  body.Add(stream);
  body.asked = call.at;
  body.state = state;
  body.first_launch = body.last_launch = number;
  const int device = DeviceOfContext(body.context);
  // One turn per inference: an app that does not wait for the device would otherwise queue its
  // bodies under its first turn, without end.
  if (device >= 0 && Agent().gates()) {
    // So is what it launched before it was gated at all.
    if (!gated_before_.exchange(true)) watch_.Watch(body, [](const OpenBody&, TimePoint) {});
    watch_.AwaitBodiesOf(body.thread, Now() + kLongestOwnBody);
  }
  if (device >= 0) {
    const Duration since_call = call.at - body.call_start;
    body.ticket = Agent().enter(static_cast<std::uint32_t>(device),
                                static_cast<std::uint64_t>(since_call.count()));
  }
  body.begun = Now();
  mine.waited = body.begun - call.at;
  Report::Get().Body(body.ticket.seq != 0);
  agent::MutexLock lock(&lock_);
  if (device >= 0) detector_.Returned(call, body.begun);
  OpenBody* slot = FindOpen(0);
  if (slot == nullptr)
    slot = &open_[id % kMaxOpen];  // bodies without end: the turn's lease ends it
  open_end_ = std::max(open_end_, static_cast<std::size_t>(slot - open_.data()) + 1);
  *slot = body;
}

OpenBody* Observer::FindOpen(phase::BodyId id) {
  const auto found = std::ranges::find(open_, id, &OpenBody::id);
  return found != open_.end() ? &*found : nullptr;
}

// Under the lock.
void Observer::NoteLaunch(const phase::Call& call, CUstream stream, std::uint64_t number) {
  for (OpenBody& body : std::span(open_).first(open_end_)) {
    if (body.id == 0 || body.thread != call.thread) continue;
    body.Add(stream);
    body.last_launch = number;
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
  }
  if (body.marked != TimePoint{}) watch_.ForgetMarks(body);
  const auto done = [](const OpenBody& watched, TimePoint over) { Get().GiveBack(watched, over); };
  if (!device_is_done && body.ticket.seq != 0 && watch_.Watch(body, done)) return;
  GiveBack(body, device_is_done ? Now() : TimePoint{});
}

// `over`: when the device had done the body; zero: nobody knows.
void Observer::GiveBack(const OpenBody& body, TimePoint over) {
  if (body.ticket.seq != 0) Agent().leave(body.ticket, 0);
  // What is left to do can wait; the daemon may have been woken on this very core.
  if (BodyWatch::IsItsThread()) sched_yield();
  TurnLog::Get().Add(body, over, !BodyWatch::IsItsThread());
  if (over == TimePoint{}) return;
  agent::MutexLock lock(&lock_);
  detector_.BodyMeasured(body.id, over - body.begun);
}

int Observer::FrameworkCall(bool begins) {
  phase::Call call;
  call.kind = begins ? PhaseKind::kLabelBegin : PhaseKind::kLabelEnd;
  call.thread = reinterpret_cast<std::uint64_t>(&mine);
  call.at = Now();
  mine.labelled = begins;
  mine.label_from = call.at;
  phase::Verdict verdict;
  phase::Inference ended;
  phase::State state{};
  {
    agent::MutexLock lock(&lock_);
    verdict = detector_.Before(call);
    if (verdict.inference_ended) {
      ended = detector_.last_inference();
      Report::Get().Note(detector_);
    }
    state = detector_.state();
  }
  if (verdict.ended_before != 0) End(verdict.ended_before, false);
  if (!verdict.inference_ended) return 0;
  InferenceEnded(ended, state);
  return static_cast<int>(ended.bodies);
}

void Observer::AtExit() {
  Observer& self = Get();
  agent::MutexLock lock(&self.lock_);
  Report::Get().Note(self.detector_);
  Report::Get().End();
}

void Observer::InferenceEnded(const phase::Inference& inference, phase::State state) {
  if (state == phase::State::kWarmingUp) {
    Agent().nudge();
    Agent().count_warmup();
    Report::Get().WarmedUp();
    return;
  }
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
