#include "daemon/plan/plan_worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

namespace stagger::daemon {

Result<std::unique_ptr<PlanWorker>> PlanWorker::Create(EventLoop* loop,
                                                       std::function<void(Work)> done) {
  UniqueFd finished(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!finished.valid()) return Error{"cannot make an eventfd"};
  std::unique_ptr<PlanWorker> worker(new PlanWorker(loop, std::move(finished), std::move(done)));
  auto watch = loop->Watch(worker->finished_.get(), EPOLLIN,
                           [raw = worker.get()](std::uint32_t) { raw->OnFinished(); });
  if (!watch) return watch.error();
  worker->watch_ = *watch;
  return worker;
}

PlanWorker::PlanWorker(EventLoop* loop, UniqueFd finished, std::function<void(Work)> done)
    : loop_(loop), finished_(std::move(finished)), done_(std::move(done)) {
  thread_ = std::thread([this] { Run(); });
}

PlanWorker::~PlanWorker() {
  loop_->Unwatch(watch_);
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void PlanWorker::Start(Work work) {
  busy_ = true;
  const std::lock_guard lock(mutex_);
  given_ = std::move(work);
  changed_.notify_all();
}

void PlanWorker::OnFinished() {
  std::uint64_t times = 0;
  (void)!read(finished_.get(), &times, sizeof times);
  std::optional<Work> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(finished_work_);
  }
  if (!work) return;
  busy_ = false;
  done_(std::move(*work));
}

void PlanWorker::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return leaving_ || given_; });
    if (leaving_) return;
    Work work = std::move(*given_);
    given_.reset();
    lock.unlock();
    for (const Happened& each : work.happened) {
      Result<placement::PlanActions> actions = work.plan.Step(each.event, each.at);
      if (actions) std::ranges::move(*actions, std::back_inserter(work.actions));
    }
    lock.lock();
    finished_work_ = std::move(work);
    const std::uint64_t one = 1;
    (void)!write(finished_.get(), &one, sizeof one);
  }
}

}  // namespace stagger::daemon
