#include "device/gpu_watch.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/clock.h"

namespace stagger::device {

struct GpuWatch::Shared {
  std::unique_ptr<Nvidia> nvidia;  // the thread's alone once it runs
  std::mutex mutex;
  std::condition_variable changed;
  bool started = false;
  bool asked = false;
  bool leaving = false;
  std::optional<TimePoint> taken;
  std::map<unsigned, GpuUse> uses;

  bool YoungerThan(Duration age) const { return taken && Now() - *taken <= age; }
};

GpuWatch::GpuWatch(std::unique_ptr<Nvidia> nvidia) : shared_(std::make_shared<Shared>()) {
  shared_->nvidia = std::move(nvidia);
}

GpuWatch::~GpuWatch() {
  const std::lock_guard lock(shared_->mutex);
  shared_->leaving = true;
  shared_->changed.notify_all();
}

std::map<unsigned, GpuUse> GpuWatch::Latest() {
  Shared& shared = *shared_;
  std::unique_lock lock(shared.mutex);
  if (!shared.YoungerThan(kMaxAge)) {
    if (!shared.started) {
      shared.started = true;
      std::thread(&GpuWatch::Run, shared_).detach();
    }
    // A driver that still owes an answer is not waited for a second time.
    const bool owes = std::exchange(shared.asked, true);
    shared.changed.notify_all();
    if (!owes && !shared.YoungerThan(kStale)) {
      shared.changed.wait_for(lock, kFirstLook, [&] { return shared.YoungerThan(kStale); });
    }
  }
  return shared.YoungerThan(kStale) ? shared.uses : std::map<unsigned, GpuUse>{};
}

void GpuWatch::Run(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  while (true) {
    shared->changed.wait(lock, [&] { return shared->asked || shared->leaving; });
    if (shared->leaving) return;
    lock.unlock();
    std::map<unsigned, GpuUse> uses;
    for (const Gpu& gpu : shared->nvidia->gpus()) {
      uses[gpu.number] = shared->nvidia->UseOf(gpu.number);
    }
    lock.lock();
    shared->uses = std::move(uses);
    shared->taken = Now();
    shared->asked = false;
    shared->changed.notify_all();
  }
}

}  // namespace stagger::device
