#include "daemon/plan/gpu_presence.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/try.h"

namespace stagger::daemon {

struct GpuPresence::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  UniqueFd looked;  // an eventfd: there are new answers
  std::map<unsigned, device::Gpu> gpus;
  std::map<unsigned, device::Presence> answers;
  std::map<unsigned, device::GpuUse> uses;  // new, and not told yet
  bool at_once = false;
  bool leaving = false;
};

Result<std::unique_ptr<GpuPresence>> GpuPresence::Create(EventLoop* loop) {
  std::unique_ptr<GpuPresence> presence(new GpuPresence(loop));
  presence->shared_ = std::make_shared<Shared>();
  Shared& shared = *presence->shared_;
  shared.looked.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!shared.looked.valid()) return Error{"cannot make an eventfd"};
  presence->watch_ = STAGGER_TRY(loop->Watch(
      shared.looked.get(), EPOLLIN, [raw = presence.get()](std::uint32_t) { raw->OnLooked(); }));
  std::thread(&GpuPresence::Run, presence->shared_).detach();
  return presence;
}

GpuPresence::~GpuPresence() {
  if (watch_ != 0) loop_->Unwatch(watch_);
  const std::lock_guard lock(shared_->mutex);
  shared_->leaving = true;
  shared_->changed.notify_all();
}

void GpuPresence::Watch(const std::string& name, const device::Gpu& gpu, Callbacks callbacks) {
  watched_[name] = {gpu.number, std::move(callbacks), false};
  const std::lock_guard lock(shared_->mutex);
  shared_->gpus[gpu.number] = gpu;
  shared_->answers.erase(gpu.number);  // whatever it is, it is told
  shared_->at_once = true;
  shared_->changed.notify_all();
}

void GpuPresence::Forget(const std::string& name) {
  const auto found = watched_.find(name);
  if (found == watched_.end()) return;
  const unsigned number = found->second.number;
  watched_.erase(found);
  for (const auto& [other, watched] : watched_) {
    if (watched.number == number) return;
  }
  const std::lock_guard lock(shared_->mutex);
  shared_->gpus.erase(number);
  shared_->answers.erase(number);
  shared_->uses.erase(number);
}

void GpuPresence::Look() {
  const std::lock_guard lock(shared_->mutex);
  shared_->at_once = true;
  shared_->changed.notify_all();
}

void GpuPresence::OnLooked() {
  std::uint64_t times;
  (void)!read(shared_->looked.get(), &times, sizeof times);
  std::map<unsigned, device::Presence> answers;
  std::map<unsigned, device::GpuUse> uses;
  {
    const std::lock_guard lock(shared_->mutex);
    answers = shared_->answers;
    uses.swap(shared_->uses);
  }
  std::vector<std::function<void()>> calls;
  for (auto& [name, watched] : watched_) {
    const auto answer = answers.find(watched.number);
    // What NVML cannot say just now is as it was.
    if (answer == answers.end() || answer->second == device::Presence::kUnknown) continue;
    const bool gone = answer->second != device::Presence::kHere;
    if (std::exchange(watched.gone, gone) == gone) {
      if (const auto use = uses.find(watched.number); !gone && use != uses.end()) {
        calls.push_back([tell = watched.callbacks.use, use = use->second] { tell(use); });
      }
      continue;
    }
    if (gone) {
      const char* why = answer->second == device::Presence::kLost
                            ? "the driver says that the GPU is lost"
                            : "the driver does not list the GPU any more";
      calls.push_back([tell = watched.callbacks.gone, why] { tell(why); });
    } else {
      calls.push_back(watched.callbacks.back);
    }
  }
  for (const auto& call : calls) call();
}

void GpuPresence::Run(const std::shared_ptr<Shared>& shared) {
  std::unique_ptr<device::Nvidia> nvidia;
  int looks = 0;
  std::unique_lock lock(shared->mutex);
  while (!shared->leaving) {
    shared->changed.wait_for(lock, kLookEvery, [&] { return shared->at_once || shared->leaving; });
    shared->at_once = false;
    const std::map<unsigned, device::Gpu> gpus = shared->gpus;
    lock.unlock();
    if (nvidia == nullptr) {
      auto opened = device::Nvidia::Open();
      if (opened) nvidia = std::move(opened).value();
    }
    const bool asks_for_use = ++looks % kLooksPerUse == 0;
    std::map<unsigned, device::Presence> answers;
    std::map<unsigned, device::GpuUse> uses;
    for (const auto& [number, gpu] : gpus) {
      answers[number] = nvidia == nullptr ? device::Presence::kUnknown : nvidia->PresenceOf(gpu);
      if (asks_for_use && answers[number] == device::Presence::kHere) {
        uses.emplace(number, nvidia->UseOf(number));
      }
    }
    lock.lock();
    if (answers == shared->answers && uses.empty()) continue;
    shared->answers = std::move(answers);
    shared->uses = std::move(uses);
    const std::uint64_t one = 1;
    (void)!write(shared->looked.get(), &one, sizeof one);
  }
}

}  // namespace stagger::daemon
