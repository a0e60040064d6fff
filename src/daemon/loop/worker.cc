#include "daemon/loop/worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "base/try.h"

namespace stagger::daemon {

Result<std::unique_ptr<Worker>> Worker::Create(EventLoop* loop) {
  auto done = std::make_shared<Done>();
  done->ready = UniqueFd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!done->ready.valid()) return Error{"cannot make an eventfd"};
  std::unique_ptr<Worker> worker(new Worker(loop, std::move(done)));
  worker->watch_ = STAGGER_TRY(loop->Watch(worker->done_->ready.get(), EPOLLIN,
                                           [raw = worker.get()](std::uint32_t) { raw->OnDone(); }));
  return worker;
}

Worker::Worker(EventLoop* loop, std::shared_ptr<Done> done)
    : loop_(loop),
      done_(done),
      queue_(kMost, decltype(queue_)::Full::kRefuse,
             [done = std::move(done)](std::function<FollowUp()>& work, std::size_t) {
               FollowUp next = work();
               const std::lock_guard lock(done->mutex);
               done->follow_ups.push_back(std::move(next));
               const std::uint64_t one = 1;
               (void)!write(done->ready.get(), &one, sizeof one);
               return true;
             }) {}

void Worker::OnDone() {
  std::uint64_t times = 0;
  (void)!read(done_->ready.get(), &times, sizeof times);
  std::vector<FollowUp> follow_ups;
  {
    const std::lock_guard lock(done_->mutex);
    follow_ups.swap(done_->follow_ups);
  }
  for (const FollowUp& next : follow_ups) next();
}

}  // namespace stagger::daemon
