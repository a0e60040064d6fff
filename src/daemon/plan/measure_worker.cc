#include "daemon/plan/measure_worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace stagger::daemon {

Result<std::unique_ptr<MeasureWorker>> MeasureWorker::Create(EventLoop* loop,
                                                             std::function<void(Outcome)> done) {
  UniqueFd finished(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!finished.valid()) return Error{"cannot make an eventfd"};
  std::unique_ptr<MeasureWorker> worker(
      new MeasureWorker(loop, std::move(finished), std::move(done)));
  auto watch = loop->Watch(worker->finished_.get(), EPOLLIN,
                           [raw = worker.get()](std::uint32_t) { raw->OnFinished(); });
  if (!watch) return watch.error();
  worker->watch_ = *watch;
  return worker;
}

MeasureWorker::MeasureWorker(EventLoop* loop, UniqueFd finished, std::function<void(Outcome)> done)
    : loop_(loop), finished_(std::move(finished)), done_(std::move(done)) {
  thread_ = std::thread([this] { Run(); });
}

MeasureWorker::~MeasureWorker() {
  loop_->Unwatch(watch_);
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void MeasureWorker::Start(placement::PlanInForce plan, std::vector<Told> told) {
  busy_ = true;
  const std::lock_guard lock(mutex_);
  work_ = Outcome{std::move(plan), {}, std::move(told)};
  changed_.notify_all();
}

void MeasureWorker::OnFinished() {
  std::uint64_t times = 0;
  (void)!read(finished_.get(), &times, sizeof times);
  std::optional<Outcome> outcome;
  {
    const std::lock_guard lock(mutex_);
    outcome.swap(outcome_);
  }
  if (!outcome) return;
  busy_ = false;
  done_(std::move(*outcome));
}

void MeasureWorker::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return leaving_ || work_; });
    if (leaving_) return;
    Outcome outcome = std::move(*work_);
    work_.reset();
    lock.unlock();
    for (const Told& told : outcome.told) {
      for (std::string& name : outcome.plan.Measure(told.device, told.figures, told.at)) {
        outcome.changed.push_back(std::move(name));
      }
    }
    lock.lock();
    outcome_ = std::move(outcome);
    const std::uint64_t one = 1;
    (void)!write(finished_.get(), &one, sizeof one);
  }
}

}  // namespace stagger::daemon
