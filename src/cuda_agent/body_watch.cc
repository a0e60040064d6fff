#include "cuda_agent/body_watch.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/clock.h"
#include "cuda_agent/agent_link.h"
#include "cuda_agent/real_driver.h"

namespace stagger::cuda_agent {
namespace {

// Its wait sleeps in the driver; it keeps no time.
constexpr unsigned int kEventFlags = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING;

// Polling begins so long before the end that is expected, asks so often, and lasts at most so long,
// so that it costs no more than a fifth of a millisecond of CPU per body: then the thread sleeps in
// the driver.
constexpr Duration kEarly = std::chrono::microseconds{100};
constexpr Duration kBetweenQueries = std::chrono::microseconds{20};
constexpr Duration kLongestPolling = std::chrono::milliseconds{1};

void SleepUntil(TimePoint until) {
  const auto ns = until.since_epoch.count();
  const timespec time{static_cast<time_t>(ns / 1'000'000'000),
                      static_cast<long>(ns % 1'000'000'000)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr);
}

}  // namespace

void OpenBody::Add(CUstream stream) {
  const auto end =
      streams.begin() + static_cast<std::ptrdiff_t>(std::min(stream_count, kMaxStreams));
  if (std::find(streams.begin(), end, stream) != end) return;
  if (stream_count < kMaxStreams) streams[stream_count] = stream;
  if (stream_count <= kMaxStreams) ++stream_count;
}

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

bool BodyWatch::Watch(const OpenBody& body, Done done) {
  // More streams than are kept: nothing short of the whole context would do.
  if (body.stream_count == 0 || body.stream_count > OpenBody::kMaxStreams) return false;
  if (!StartThread()) return false;
  Watched watched;
  watched.body = body;
  watched.done = done;
  bool complete = true;
  for (std::size_t i = 0; i < body.stream_count && complete; ++i) {
    const CUevent event = TakeEvent(body.context);
    complete = event != nullptr;
    if (!complete) break;
    watched.events[watched.event_count++] = event;
    complete = RealCall<kAt_cuEventRecord>(event, body.streams[i]) == CUDA_SUCCESS;
  }
  agent::MutexLock lock(&lock_);
  if (!complete || queue_.size() >= kMaxWatched) {
    PutBack(watched);
    return false;
  }
  watched.number = watched_.fetch_add(1, std::memory_order_acq_rel) + 1;
  queue_.push_back(watched);
  changed_.NotifyAll();
  return true;
}

bool BodyWatch::StartThread() {
  agent::MutexLock lock(&lock_);
  if (started_) return true;
  queue_.reserve(kMaxWatched);
  spare_.reserve(kMaxSpare);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  started_ = pthread_create(&thread, nullptr, &BodyWatch::Main, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started_) pthread_detach(thread);
  return started_;
}

void* BodyWatch::Main(void* self) {
  prctl(PR_SET_NAME, "stagger-body", 0, 0, 0);
  static_cast<BodyWatch*>(self)->Run();
  return nullptr;
}

BodyWatch::Way BodyWatch::ChosenWay() {
  static const Way way = [] {
    const char* name = std::getenv("STAGGER_BODY_END");
    if (name != nullptr && std::strcmp(name, "poll") == 0) return Way::kPoll;
    if (name != nullptr && std::strcmp(name, "sync") == 0) return Way::kSync;
    return Way::kEvent;
  }();
  return way;
}

void BodyWatch::Run() {
  CUcontext current = nullptr;
  // Waiting here must not make a capture of the app's invalid that another thread has under way.
  CUstreamCaptureMode relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
  RealCall<kAt_cuThreadExchangeStreamCaptureMode>(&relaxed);
  if (ChosenWay() == Way::kPoll) prctl(PR_SET_TIMERSLACK, 1ul);
  for (;;) {
    Watched next;
    {
      agent::MutexLock lock(&lock_);
      while (queue_.empty()) changed_.WaitUntil(&lock_, Now() + std::chrono::hours{1});
      next = queue_.front();
    }
    if (next.body.context != current) {
      RealCall<kAt_cuCtxSetCurrent>(next.body.context);
      current = next.body.context;
    }
    AwaitEnd(next);
    {
      agent::MutexLock lock(&lock_);
      next.left = queue_.front().left;
      queue_.erase(queue_.begin());
    }
    if (!next.left) Leave(next);
    took_[took_count_++ % took_.size()] = Now() - next.body.begun;
    agent::MutexLock lock(&lock_);
    PutBack(next);
  }
}

void BodyWatch::Leave(const Watched& watched) {
  const TimePoint end = Now();
  Agent().leave(watched.body.ticket, 0);
  watched.done(watched.body.id, end - watched.body.begun);
}

void BodyWatch::AwaitEnd(const Watched& watched) {
  const Duration expected = ChosenWay() == Way::kPoll ? Expected() : Duration{};
  TimePoint give_up;
  if (expected > kEarly) {
    const TimePoint from = watched.body.begun + expected - kEarly;
    give_up = std::max(from, Now()) + kLongestPolling;
    SleepUntil(from);
  }
  // An error means that the context is gone or broken: so is the body.
  for (std::size_t i = 0; i < watched.event_count; ++i) {
    while (Now() < give_up &&
           RealCall<kAt_cuEventQuery>(watched.events[i]) == CUDA_ERROR_NOT_READY) {
      SleepUntil(Now() + kBetweenQueries);
    }
    RealCall<kAt_cuEventSynchronize>(watched.events[i]);
  }
}

// Nine in ten of the last bodies took longer; 0 while there were too few.
Duration BodyWatch::Expected() const {
  if (took_count_ < took_.size()) return {};
  std::array<Duration, 16> sorted = took_;
  std::sort(sorted.begin(), sorted.end());
  return sorted[1];
}

void BodyWatch::AppWaited(CUstream stream, std::uint64_t watched_before) {
  if (ChosenWay() != Way::kSync) return;
  Watched over;
  {
    agent::MutexLock lock(&lock_);
    for (Watched& watched : queue_) {
      const OpenBody& body = watched.body;
      const bool covered = body.stream_count == 1 && body.streams[0] == stream;
      if (!covered || watched.left || watched.number > watched_before) continue;
      watched.left = true;
      over = watched;
      break;  // a process has one turn, which the last of its bodies gives back
    }
  }
  if (over.left) Leave(over);
}

// Under the lock. An event too many is forgotten, not destroyed: its context may be gone.
void BodyWatch::PutBack(const Watched& watched) {
  for (std::size_t i = 0; i < watched.event_count && spare_.size() < kMaxSpare; ++i) {
    spare_.push_back({watched.body.context, watched.events[i]});
  }
}

void BodyWatch::AfterForkInChild() {
  lock_.Renew();
  changed_.Renew();
  queue_.clear();
  spare_.clear();
  started_ = false;
}

}  // namespace stagger::cuda_agent
