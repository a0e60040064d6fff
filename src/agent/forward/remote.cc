#include "agent/forward/remote.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

#include "agent/forward/route.h"
#include "agent/say.h"
#include "base/clock.h"

namespace stagger::agent {
namespace {

constexpr int kMostSlots = 64;  // per session and executor
constexpr Duration kFirstPause = std::chrono::milliseconds{50};
constexpr Duration kLastPause = std::chrono::milliseconds{400};
// A refusal costs the executor a load; it may be another that listens there later.
constexpr Duration kRefusedPause = std::chrono::minutes{1};
constexpr Duration kStandbyPause = std::chrono::seconds{5};  // no call waits for one

std::atomic<unsigned> process_generation{1};

void SayElsewhere(const std::string& reason, bool refused) {
  SayOnce(Topic::kExecutor, reason + (refused ? "; its inferences run elsewhere"
                                              : "; its inferences run elsewhere until it is back"));
}

}  // namespace

Mutex Remote::mutex_;

void Remote::BeforeFork() { mutex_.Lock(); }
void Remote::AfterForkInParent() { mutex_.Unlock(); }
void Remote::AfterForkInChild() {
  ++process_generation;
  mutex_.Renew();
}

Remote::Remote(Route* route, const std::vector<std::string>& sockets, wire::Open open,
               std::string path)
    : route_(route),
      open_(std::move(open)),
      path_(std::move(path)),
      generation_(process_generation) {
  for (const std::string& socket : sockets) Know(socket, false);
}

bool Remote::batch() const {
  MutexLock lock(&mutex_);
  return batch_;
}

std::size_t Remote::executors() const {
  MutexLock lock(&mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(executors_, [](const auto& one) {
    return !one->leaving && !one->background && !one->standby;
  }));
}

std::shared_ptr<const Mapping> Remote::model() const {
  MutexLock lock(&mutex_);
  return model_;
}

void Remote::AddUsed(std::vector<std::string>* sockets) const {
  MutexLock lock(&mutex_);
  for (const bool standby : {false, true}) {
    bool any = false;
    for (const auto& one : executors_) {
      if (one->leaving || one->background || one->standby != standby) continue;
      sockets->push_back(one->socket);
      any = true;
    }
    if (any) return;
  }
}

Remote::Executor* Remote::Find(unsigned id) {
  const auto found =
      std::ranges::find_if(executors_, [id](const auto& one) { return one->id == id; });
  return found != executors_.end() ? found->get() : nullptr;
}

// The one with this socket, from now on named, or on standby.
Remote::Executor& Remote::Know(const std::string& socket, bool standby) {
  for (const auto& one : executors_) {
    if (one->socket != socket) continue;
    if (one->standby && !standby) one->retry_at = {};  // calls may need it now
    one->named = !standby;
    one->standby = standby;
    one->leaving = false;  // if it was: it has a slot of ours still, and so the model
    return *one;
  }
  executors_.push_back(std::make_unique<Executor>());
  Executor& added = *executors_.back();
  added.id = ++last_id_;
  added.socket = socket;
  added.named = !standby;
  added.standby = standby;
  return added;
}

bool Remote::Begin(std::span<const std::byte> model, Mapping* stub, std::string* reason,
                   bool* refused) {
  // Nobody else knows of this session yet.
  *refused = !executors_.empty();
  for (const auto& executor : executors_) {
    ExecutorSlot::Opening opening = ExecutorSlot::Open(executor->socket, open_, model, true);
    if (!opening.slot) {
      Failed(*executor, opening.refused);
      if (reason->empty()) *reason = opening.reason;
      *refused = *refused && opening.refused;
      continue;
    }
    // One device may take what another does not.
    if (!reason->empty()) SayElsewhere(*reason, *refused);
    executor->background = false;
    opening.slot->executor = executor->id;
    opening.slot->generation = generation_;
    batch_ = opening.batch;
    model_ = std::make_shared<const Mapping>(std::move(opening.model));
    *stub = std::move(opening.stub);
    executor->idle.push_back(std::move(opening.slot));
    return model_->bytes().size() == model.size();
  }
  return false;
}

void Remote::ForgetParents() {
  if (generation_ == process_generation) return;
  generation_ = process_generation;
  for (const auto& executor : executors_) {
    executor->idle.clear();
    executor->busy = 0;
  }
  std::erase_if(executors_, [](const auto& one) { return one->leaving; });
}

// `refused`: it is there, and does not take this model.
void Remote::Failed(Executor& executor, bool refused) {
  executor.background = true;
  executor.pause = refused            ? kRefusedPause
                   : executor.standby ? kStandbyPause
                                      : std::clamp(executor.pause * 2, kFirstPause, kLastPause);
  executor.retry_at = Now() + executor.pause;
}

// With the lock. First among those that serve, then those on standby; where none does, one that a
// call has to wait for.
Remote::Executor* Remote::Choose(TimePoint now, const std::vector<unsigned>& tried) {
  // Where all are alike, one after the other: apps that call one frame at a time spread too.
  ++turn_;
  for (const auto& [standby, waits] : {std::pair{false, false}, {true, false}, {false, true}}) {
    if (waits && stand_in_.load()) break;
    Executor* best = nullptr;
    for (std::size_t k = 0; k < executors_.size(); ++k) {
      Executor& executor = *executors_[(turn_ + k) % executors_.size()];
      if (executor.leaving || executor.background != waits || (waits && !executor.named) ||
          executor.standby != standby) {
        continue;
      }
      const bool can_open = executor.retry_at <= now && executor.busy < kMostSlots;
      const bool failed = std::ranges::count(tried, executor.id) > 0;
      if (failed || (executor.idle.empty() && !can_open)) continue;
      if (best == nullptr || executor.busy < best->busy) best = &executor;
    }
    if (best != nullptr) return best;
  }
  return nullptr;
}

std::unique_ptr<ExecutorSlot> Remote::Acquire() {
  std::vector<unsigned> tried;
  while (true) {
    std::unique_ptr<ExecutorSlot> slot;
    unsigned id = 0;
    std::string socket;
    bool has_to_wait = false;
    bool for_the_mover = false;
    {
      MutexLock lock(&mutex_);
      ForgetParents();
      const TimePoint now = Now();
      Executor* best = Choose(now, tried);
      has_to_wait = best != nullptr && best->background;
      for_the_mover = !has_to_wait && std::ranges::any_of(executors_, [now](const auto& one) {
        return (one->named || one->standby) && one->background && one->retry_at <= now;
      });
      if (best != nullptr) {
        ++best->busy;
        id = best->id;
        socket = best->socket;
        if (!best->idle.empty()) {
          slot = std::move(best->idle.back());
          best->idle.pop_back();
        }
      }
    }
    if (for_the_mover) route_->Kick();
    if (id == 0 || slot) return slot;
    tried.push_back(id);
    slot = Open(id, socket, nullptr);
    // Where it serves at last, those no longer named can go, and the daemon is to know.
    if (has_to_wait) route_->Kick();
    if (slot) return slot;
  }
}

// A slot to an executor that counts as busy meanwhile, and on success afterwards.
std::unique_ptr<ExecutorSlot> Remote::Open(unsigned id, const std::string& socket,
                                           const std::atomic<bool>* give_up) {
  std::shared_ptr<const Mapping> model = this->model();
  // The mover always: the app is not to hold the model's bytes of an executor that it left.
  const bool want_files = give_up != nullptr || !model;
  if (!model) model = ReadModel();
  ExecutorSlot::Opening opening;
  if (model) {
    opening = ExecutorSlot::Open(socket, open_, model->bytes(), want_files, give_up);
  } else {
    opening.reason = "the model's file changed since its session was made";
  }
  // A newer word came: this executor may be fine.
  const bool given_up = !opening.slot && give_up != nullptr && give_up->load();
  if (!opening.slot && !given_up) {
    SayElsewhere(opening.reason, opening.refused);
  }
  MutexLock lock(&mutex_);
  ForgetParents();
  Executor* executor = Find(id);
  if (executor == nullptr) return nullptr;
  if (!opening.slot) {
    --executor->busy;
    if (!given_up) Failed(*executor, opening.refused);
    return nullptr;
  }
  opening.slot->executor = id;
  opening.slot->generation = generation_;
  executor->pause = Duration::zero();
  executor->background = false;
  batch_ = opening.batch;
  if (opening.model.valid()) {
    model_ = std::make_shared<const Mapping>(std::move(opening.model));
  }
  return std::move(opening.slot);
}

// What the session was made of, for an executor that does not have it; null if that is gone.
std::shared_ptr<const Mapping> Remote::ReadModel() const {
  auto content = std::make_shared<Mapping>(ReadWhole(path_.c_str()));
  if (content->bytes().empty() || HashOf(content->bytes()) != open_.model) return nullptr;
  return content;
}

void Remote::Return(std::unique_ptr<ExecutorSlot> slot) {
  MutexLock lock(&mutex_);
  ForgetParents();
  if (slot->generation != generation_) return;
  Executor* executor = Find(slot->executor);
  if (executor == nullptr) return;
  --executor->busy;
  if (!executor->leaving) {
    executor->idle.push_back(std::move(slot));
  } else if (executor->busy == 0) {
    std::erase_if(executors_, [executor](const auto& one) { return one.get() == executor; });
  }
}

void Remote::Lose(std::unique_ptr<ExecutorSlot> slot) {
  std::vector<std::unique_ptr<ExecutorSlot>> gone;  // closed outside the lock
  {
    MutexLock lock(&mutex_);
    ForgetParents();
    if (slot->generation != generation_) return;
    Executor* executor = Find(slot->executor);
    if (executor == nullptr) return;
    --executor->busy;
    std::swap(gone, executor->idle);
    Failed(*executor, false);
    if (executor->leaving && executor->busy == 0) {
      std::erase_if(executors_, [executor](const auto& one) { return one.get() == executor; });
    }
  }
  route_->Kick();
}

void Remote::MoveTo(const std::vector<std::string>& sockets,
                    const std::vector<std::string>& standby, const std::atomic<bool>* give_up) {
  std::vector<std::pair<unsigned, std::string>> to_open;
  {
    MutexLock lock(&mutex_);
    ForgetParents();
    const TimePoint now = Now();
    for (const auto& one : executors_) one->named = one->standby = false;
    const auto know = [&](const std::string& socket, bool stands_by) REQUIRES(mutex_) {
      const bool known = std::ranges::any_of(
          executors_, [&socket](const auto& one) { return one->socket == socket; });
      Executor& executor = Know(socket, stands_by);
      if (!known) executor.background = true;
      if (!executor.background || executor.retry_at > now) return;
      ++executor.busy;
      to_open.emplace_back(executor.id, socket);
    };
    for (const std::string& socket : sockets) know(socket, false);
    for (const std::string& socket : standby) {
      if (std::ranges::count(sockets, socket) == 0) know(socket, true);
    }
  }
  for (const auto& [id, socket] : to_open) {
    if (std::unique_ptr<ExecutorSlot> slot = Open(id, socket, give_up)) Return(std::move(slot));
  }
  std::vector<std::unique_ptr<ExecutorSlot>> closing;  // outside the lock
  MutexLock lock(&mutex_);
  LeaveUnnamed(&closing);
}

void Remote::LeaveUnnamed(std::vector<std::unique_ptr<ExecutorSlot>>* closing) {
  bool named = false;
  bool served = false;
  for (const auto& one : executors_) {
    named = named || one->named;
    served = served || (one->named && !one->background);
  }
  if (named && !served) return;  // better there than nowhere
  for (const auto& one : executors_) {
    if (one->named || one->standby) continue;
    one->leaving = true;
    std::ranges::move(one->idle, std::back_inserter(*closing));
    one->idle.clear();
  }
  std::erase_if(executors_, [](const auto& one) { return one->leaving && one->busy == 0; });
}

}  // namespace stagger::agent
