#include "cuda_agent/body_watch.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "cuda_agent/agent_link.h"
#include "cuda_agent/capture.h"
#include "cuda_agent/real_driver.h"
#include "cuda_agent/turn_log.h"

namespace stagger::cuda_agent {
namespace {

// Its wait sleeps in the driver; it keeps no time.
constexpr unsigned int kEventFlags = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING;
constexpr Duration kForever = std::chrono::hours{1};
constexpr Duration kLookAgain = std::chrono::milliseconds{2};
// What is not urgent waits so long for the thread to have nothing else to do.
constexpr Duration kQuiet = std::chrono::milliseconds{1};
constinit thread_local bool is_watch = false;

// On a stream that captures the event would become part of the app's graph.
bool RecordOn(CUstream stream, CUevent event) {
  if (Captures::Includes(stream)) return false;
  return RealCall<kAt_cuEventRecord>(event, stream) == CUDA_SUCCESS;
}

}  // namespace

CUevent BodyWatch::TakeEvent(CUcontext context) {
  {
    agent::MutexLock lock(&lock_);
    const auto found = std::find_if(spare_.begin(), spare_.end(),
                                    [&](const Spare& spare) { return spare.context == context; });
    if (found != spare_.end()) {
      const CUevent event = found->event;
      *found = spare_.back();
      spare_.pop_back();
      return event;
    }
  }
  CUevent event = nullptr;
  if (RealCall<kAt_cuEventCreate>(&event, kEventFlags) != CUDA_SUCCESS) return nullptr;
  return event;
}

bool BodyWatch::Watch(const Body& body, Done done) {
  // More streams than are kept: nothing short of the whole context would do.
  if (body.stream_count == 0 || body.stream_count > Body::kMaxStreams) return false;
  if (!StartThread()) return false;
  std::optional<Relaxed> relaxed;
  if (Captures::any()) relaxed.emplace();
  Watched watched{body, {}, 0, done};
  bool complete = true;
  for (std::size_t i = 0; i < body.stream_count && complete; ++i) {
    const CUevent event = TakeEvent(body.context);
    complete = event != nullptr;
    if (!complete) break;
    watched.events[watched.event_count++] = event;
    complete = RecordOn(body.streams[i], event);
  }
  agent::MutexLock lock(&lock_);
  if (!complete || queue_.size() >= kMaxWatched) {
    PutBack(watched);
    return false;
  }
  queue_.push_back(watched);
  changed_.NotifyAll();
  return true;
}

bool BodyWatch::StartThread() {
  agent::MutexLock lock(&lock_);
  if (started_) return true;
  queue_.reserve(kMaxWatched);
  spare_.reserve(kMaxSpare);
  started_ = agent::StartThread(&BodyWatch::Main, this);
  return started_;
}

void* BodyWatch::Main(void* self) {
  prctl(PR_SET_NAME, "stagger-body", 0, 0, 0);
  static_cast<BodyWatch*>(self)->Run();
  return nullptr;
}

void BodyWatch::Run() {
  CUcontext current = nullptr;
  const Relaxed relaxed;
  is_watch = true;
  TurnLog& log = TurnLog::Get();
  for (;;) {
    const Watched next = Next();
    // The turn is this process's own again: nobody waits for the core.
    if (log.has_kept()) log.Write();
    if (next.body.context != current) {
      RealCall<kAt_cuCtxSetCurrent>(next.body.context);
      current = next.body.context;
    }
    // An error means that the context is gone or broken: so is the body.
    for (std::size_t i = 0; i < next.event_count; ++i) {
      RealCall<kAt_cuEventSynchronize>(next.events[i]);
    }
    next.done(next.body, Now());
    agent::MutexLock lock(&lock_);
    PutBack(next);
  }
}

// Meanwhile writes what the log has kept, and looks where KeepLooking said so.
BodyWatch::Watched BodyWatch::Next() {
  TurnLog& log = TurnLog::Get();
  lock_.Lock();
  while (queue_.empty()) {
    const TimePoint from = Now();
    changed_.WaitUntil(&lock_, from + (log.has_kept()     ? kQuiet
                                       : look_ != nullptr ? kLookAgain
                                                          : kForever));
    if (log.has_kept() && Now() - from >= kQuiet) log.Write();
    if (look_ == nullptr || !queue_.empty()) continue;
    bool (*const look)() = look_;
    look_again_ = false;
    lock_.Unlock();
    const bool again = look();
    lock_.Lock();
    if (!again && !look_again_) look_ = nullptr;
  }
  const Watched next = queue_.front();
  queue_.erase(queue_.begin());
  lock_.Unlock();
  return next;
}

CUevent BodyWatch::Mark(CUcontext context, CUevent mark, CUstream stream) {
  std::optional<Relaxed> relaxed;
  if (Captures::any()) relaxed.emplace();
  if (mark == nullptr) mark = TakeEvent(context);
  if (mark == nullptr) return nullptr;
  return RecordOn(stream, mark) ? mark : nullptr;
}

bool BodyWatch::IsItsThread() { return is_watch; }

void BodyWatch::KeepLooking(bool (*look)()) {
  if (!StartThread()) return;
  agent::MutexLock lock(&lock_);
  look_again_ = true;
  if (look_ != nullptr) return;
  look_ = look;
  changed_.NotifyAll();
}

bool BodyWatch::PassedMarks(const Body& body) {
  CUcontext current = nullptr;
  RealCall<kAt_cuCtxGetCurrent>(&current);
  if (current != body.context) RealCall<kAt_cuCtxSetCurrent>(body.context);
  bool passed = true;
  for (const CUevent mark : body.marks) {
    if (mark == nullptr) continue;
    passed = passed && RealCall<kAt_cuEventQuery>(mark) != CUDA_ERROR_NOT_READY;
  }
  if (current != body.context) RealCall<kAt_cuCtxSetCurrent>(current);
  return passed;
}

void BodyWatch::ForgetMarks(const Body& body) {
  if (body.marked == TimePoint{}) return;
  agent::MutexLock lock(&lock_);
  for (const CUevent mark : body.marks) Keep(body.context, mark);
}

void BodyWatch::PutBack(const Spare& spare) {
  agent::MutexLock lock(&lock_);
  Keep(spare.context, spare.event);
}

void BodyWatch::PutBack(const Watched& watched) {
  for (std::size_t i = 0; i < watched.event_count; ++i)
    Keep(watched.body.context, watched.events[i]);
}

// An event too many is forgotten, not destroyed: its context may be gone.
void BodyWatch::Keep(CUcontext context, CUevent event) {
  if (event != nullptr && spare_.size() < kMaxSpare) spare_.push_back({context, event});
}

void BodyWatch::AfterForkInChild() {
  changed_.Renew();
  queue_.clear();
  spare_.clear();
  look_ = nullptr;
  look_again_ = false;
  started_ = false;
  lock_.Renew();
}

}  // namespace stagger::cuda_agent
