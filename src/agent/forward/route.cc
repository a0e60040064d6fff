#include "agent/forward/route.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <utility>

#include "agent/forward/remote.h"
#include "agent/gate.h"
#include "agent/say.h"
#include "base/clock.h"

namespace stagger::agent {

void Route::Assign(const std::vector<std::string>& executors,
                   const std::vector<std::string>& standby) {
  MutexLock lock(&mutex_);
  executors_ = executors;
  standby_ = standby;
  assigned_anew_.store(true);
  kicked_.store(true);
  Wake();
}

std::vector<std::string> Route::executors() {
  MutexLock lock(&mutex_);
  return executors_;
}

void Route::Add(std::weak_ptr<Remote> remote, const std::vector<std::string>& began_with) {
  {
    MutexLock lock(&mutex_);
    std::erase_if(remotes_, [](const auto& one) { return one.expired(); });
    remotes_.push_back(std::move(remote));
    if (executors_ != began_with || !standby_.empty()) {
      kicked_.store(true);
      Wake();
    }
  }
  Report(false);
}

void Route::Kick() {
  if (kicked_.exchange(true)) return;
  MutexLock lock(&mutex_);
  Wake();
}

// The thread starts when there is something to do for it, never earlier.
void Route::Wake() {
  woken_.NotifyAll();
  if (started_) return;
  started_ = StartThread(&Route::Main, this);
  if (!started_) {
    SayOnce(Topic::kExecutor, "no thread could be started; inferences stay where they are");
  }
}

void* Route::Main(void* self) {
  prctl(PR_SET_NAME, "stagger-move", 0, 0, 0);
  static_cast<Route*>(self)->Run();
  return nullptr;
}

void Route::Run() {
  while (true) {
    std::vector<std::shared_ptr<Remote>> remotes;
    std::vector<std::string> executors;
    std::vector<std::string> standby;
    {
      MutexLock lock(&mutex_);
      while (!kicked_.load()) woken_.WaitUntil(&mutex_, Now() + std::chrono::hours{1});
      kicked_.store(false);
      assigned_anew_.store(false);
      executors = executors_;
      standby = standby_;
      for (const auto& one : remotes_) {
        if (auto remote = one.lock()) remotes.push_back(std::move(remote));
      }
    }
    for (const auto& remote : remotes) remote->MoveTo(executors, standby, &assigned_anew_);
    Report(false);
  }
}

void Route::Report(bool anyway) {
  MutexLock telling(&report_mutex_);
  std::vector<std::string> used;
  {
    MutexLock lock(&mutex_);
    for (const auto& one : remotes_) {
      if (const auto remote = one.lock()) remote->AddUsed(&used);
    }
  }
  std::ranges::sort(used);
  used.erase(std::unique(used.begin(), used.end()), used.end());
  if (used.size() > wire::kMaxExecutors) used.resize(wire::kMaxExecutors);
  if (!anyway && used == reported_) return;
  reported_ = used;
  gate_->Tell(wire::Uses{std::move(used)});
}

void Route::AfterForkInParent() {
  mutex_.Unlock();
  report_mutex_.Unlock();
}

void Route::AfterForkInChild() {
  woken_.Renew();
  started_ = false;
  kicked_.store(false);
  mutex_.Renew();
  report_mutex_.Renew();
}

}  // namespace stagger::agent
