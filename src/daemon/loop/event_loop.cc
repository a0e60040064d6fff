#include "daemon/loop/event_loop.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/clock.h"
#include "base/try.h"

namespace stagger::daemon {

namespace {

// Of this thread.
Duration CpuTime() {
  timespec at{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
  return std::chrono::seconds{at.tv_sec} + std::chrono::nanoseconds{at.tv_nsec};
}

Error Failed(const char* what) { return Error{std::string(what) + ": " + std::strerror(errno)}; }

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return Failed("cannot make an epoll instance");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll)));
}

Result<EventLoop::WatchId> EventLoop::Watch(int fd, std::uint32_t events, Handler handler) {
  const WatchId id = next_id_++;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return Failed("cannot watch a file");
  watched_.emplace(id, std::make_shared<Watched>(Watched{fd, std::move(handler)}));
  return id;
}

void EventLoop::Change(WatchId id, std::uint32_t events) {
  const auto it = watched_.find(id);
  if (it == watched_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, it->second->fd, &event);
}

void EventLoop::Unwatch(WatchId id) {
  const auto it = watched_.find(id);
  if (it == watched_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, it->second->fd, nullptr);
  watched_.erase(it);
}

Result<void> EventLoop::Run() {
  running_ = true;
  // Few at a time: what a step takes is bounded, and a timer that has run out meanwhile comes soon.
  std::array<epoll_event, 16> events{};
  // One reading a step, since reading is a system call: the cost of the wait counts to the step.
  Duration cpu = CpuTime();
  while (running_) {
    const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    if (n < 0) {
      if (errno == EINTR) continue;
      return Failed("epoll_wait");
    }
    const TimePoint begun = Now();
    for (int i = 0; i < n && running_; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const auto it = watched_.find(event.data.u64);
      if (it == watched_.end()) continue;                // unwatched earlier in this batch
      const std::shared_ptr<Watched> keep = it->second;  // the handler may unwatch itself
      keep->handler(event.events);
    }
    const Duration cpu_now = CpuTime();
    steps_.Took(Now() - begun, cpu_now - cpu);
    cpu = cpu_now;
  }
  return {};
}

Result<std::unique_ptr<Timer>> Timer::Create(EventLoop* loop, std::function<void()> callback) {
  UniqueFd fd(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!fd.valid()) return Failed("cannot make a timer");
  std::unique_ptr<Timer> timer(new Timer(loop, std::move(fd)));
  Timer* raw = timer.get();
  timer->watch_ = STAGGER_TRY(
      loop->Watch(raw->fd_.get(), EPOLLIN, [raw, callback = std::move(callback)](std::uint32_t) {
        std::uint64_t expirations = 0;
        if (read(raw->fd_.get(), &expirations, sizeof expirations) < 0) return;
        raw->armed_ = kNever;
        callback();
      }));
  return timer;
}

Timer::~Timer() { loop_->Unwatch(watch_); }

void Timer::ArmBy(TimePoint deadline) {
  if (deadline >= armed_) return;
  armed_ = deadline;
  const auto ns = std::max(deadline.since_epoch, Duration{1}).count();  // 0 would disarm
  itimerspec spec{};
  spec.it_value.tv_sec = ns / 1'000'000'000;
  spec.it_value.tv_nsec = ns % 1'000'000'000;
  timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

}  // namespace stagger::daemon
