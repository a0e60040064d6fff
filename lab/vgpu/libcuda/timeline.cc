#include "lab/vgpu/libcuda/timeline.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "lab/vgpu/device_list.h"
#include "lab/vgpu/lateness.h"

namespace stagger::vgpu {
namespace {

constexpr std::uint32_t kLateBatch = 64;
thread_local bool on_host_thread = false;

template <typename F>
void StartThread(const char* name, F body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([name, body] {
    pthread_setname_np(pthread_self(), name);
    body();
  }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

bool OnHostFunctionThread() { return on_host_thread; }

CUresult Timeline::Open(const char* socket, const Hello& hello) {
  Welcome welcome;
  socket_ = Connect(socket, hello, &welcome);
  if (!socket_.valid()) return kGone;
  if (welcome.result != CUDA_SUCCESS) return static_cast<CUresult>(welcome.result);
  connected_ = true;
  batch_.Put(batch_header_);
  StartThread("vgpu-timeline", [this] { Read(); });
  StartThread("vgpu-host", [this] { RunHostFunctions(); });
  return CUDA_SUCCESS;
}

OpId Timeline::Submit(const Work& work, const std::vector<OpId>& after,
                      std::shared_ptr<Mark> mark) {
  const OpId id = ++last_id_;
  if (mark != nullptr) mark->op = id;
  Entry& entry = entries_.emplace_back();
  entry.effect = work.effect;
  entry.host = work.host;
  entry.mark = std::move(mark);
  if (!connected_) {
    entry = Entry{};
    entry.over = true;
    return id;
  }
  OpRecord record = work.record;
  record.id = id;
  record.after = 0;
  for (const OpId before : after) record.after += Over(before) ? 0 : 1;
  if (batch_.size() + sizeof record + 8 * record.after > kMaxPacket) Flush();
  batch_.Put(record);
  for (const OpId before : after) {
    if (!Over(before)) batch_.Put(before);
  }
  ++batch_header_.count;
  return id;
}

void Timeline::Flush() {
  if (batch_header_.count == 0) return;
  batch_header_.at_ns = Now().since_epoch.count();
  batch_.PutAt(0, batch_header_);
  Send(batch_);
  batch_.Clear();
  batch_header_.count = 0;
  batch_.Put(batch_header_);
}

std::uint32_t Timeline::NameOf(std::string_view name) {
  const auto found = names_.find(name);
  if (found != names_.end()) return found->second;
  const auto id = static_cast<std::uint32_t>(names_.size() + 1);
  names_.emplace(name, id);
  PacketWriter writer;
  NameRecord record;
  record.id = id;
  writer.Put(record);
  writer.Put(name.substr(0, 1024));
  Send(writer);
  return id;
}

bool Timeline::Over(OpId id) const {
  return id < first_ || id - first_ >= entries_.size() || entries_[id - first_].over;
}

Timeline::Entry* Timeline::Find(OpId id) {
  return id < first_ || id - first_ >= entries_.size() ? nullptr : &entries_[id - first_];
}

void Timeline::Want(OpId id) {
  Entry* entry = Find(id);
  if (entry == nullptr || entry->over || entry->wanted) return;
  entry->wanted = true;
  Flush();
  PacketWriter writer;
  writer.Put(Note{Type::kWant, id});
  Send(writer);
}

void Timeline::Await(Lock* lock, std::function<bool()> due) {
  if (due()) return;
  const auto self = std::make_shared<Waiter>();
  self->due = std::move(due);
  waiters_.push_back(self);
  self->wake.wait(*lock, self->due);
  std::erase(waiters_, self);
}

void Timeline::UnlockAndWake(Lock* lock) {
  std::vector<std::shared_ptr<Waiter>> due;
  std::ranges::copy_if(waiters_, std::back_inserter(due),
                       [](const auto& waiter) { return waiter->due(); });
  lock->unlock();
  for (const auto& waiter : due) waiter->wake.notify_one();
}

CUresult Timeline::Wait(Lock* lock, const std::vector<OpId>& ids) {
  Flush();
  for (const OpId id : ids) Want(id);
  Await(lock, [&] { return std::ranges::all_of(ids, [&](OpId id) { return Over(id); }); });
  return failure_;
}

CUresult Timeline::WaitForAll(Lock* lock) {
  std::vector<OpId> ids;
  for (OpId id = first_; id < first_ + entries_.size(); ++id) {
    if (!Over(id)) ids.push_back(id);
  }
  return Wait(lock, ids);
}

CUresult Timeline::Reserve(Lock* lock, std::uint64_t bytes) {
  return AskFor(lock, Type::kReserve, bytes, nullptr);
}

void Timeline::Release(std::uint64_t bytes) {
  PacketWriter writer;
  writer.Put(Note{Type::kRelease, 0, bytes});
  Send(writer);
}

CUresult Timeline::Ask(Lock* lock, Facts* facts) { return AskFor(lock, Type::kAsk, 0, facts); }

CUresult Timeline::AskFor(Lock* lock, Type type, std::uint64_t bytes, Facts* facts) {
  if (!connected_) return failure_;
  Reply reply;
  const std::uint64_t token = ++last_token_;
  replies_[token] = &reply;
  PacketWriter writer;
  writer.Put(Note{type, token, bytes});
  Send(writer);
  Await(lock, [&] { return reply.here || !connected_; });
  replies_.erase(token);
  if (!reply.here) return failure_;
  if (facts != nullptr) *facts = reply.facts;
  return reply.result;
}

void Timeline::Send(const PacketWriter& packet) {
  if (!connected_) return;
  while (send(socket_.get(), packet.bytes().data(), packet.size(), MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return;  // the reader will see that it is gone
  }
}

void Timeline::Read() {
  prctl(PR_SET_TIMERSLACK, 1ul);
  std::vector<std::byte> packet(kMaxPacket);
  while (true) {
    const ssize_t size = recv(socket_.get(), packet.data(), packet.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return Lose(kGone);
    PacketReader reader(std::span(packet.data(), static_cast<std::size_t>(size)));
    Type type{};
    PacketReader(reader).Get(&type);
    if (type == Type::kDone) {
      TakeDone(&reader);
    } else if (type == Type::kAnswer || type == Type::kFacts) {
      Reply reply;
      reply.here = true;
      std::uint64_t token = 0;
      if (type == Type::kAnswer) {
        Answer answer;
        if (!reader.Get(&answer)) continue;
        token = answer.token;
        reply.result = static_cast<CUresult>(answer.result);
      } else {
        if (!reader.Get(&reply.facts)) continue;
        token = reply.facts.token;
      }
      Lock lock(*mutex_);
      if (const auto found = replies_.find(token); found != replies_.end()) {
        *found->second = reply;
      }
      UnlockAndWake(&lock);
    }
  }
}

// All of a packet under one hold of the lock: an app that launches meanwhile would contend for it
// at every record.
void Timeline::TakeDone(PacketReader* reader) {
  DoneHeader header;
  if (!reader->Get(&header)) return;
  DoneRecord record;
  Lock lock(*mutex_);
  for (std::uint32_t i = 0; i < header.count && reader->Get(&record); ++i) End(&lock, record);
  if (late_count_ >= kLateBatch) TellLateness();
  UnlockAndWake(&lock);
}

// Effects are made in the order in which operations ended, and outside the lock: they may be long.
void Timeline::End(Lock* lock, const DoneRecord& record) {
  Entry* entry = Find(record.id);
  if (entry == nullptr || entry->over) return;
  if (record.wanted) CountLateness(record.end_ns);
  if (record.run_host) {
    host_calls_.push_back({record.id, entry->host, failure_});
    host_changed_.notify_one();
    return;
  }
  if (entry->effect && record.result == CUDA_SUCCESS) {
    const std::function<void()> effect = std::move(entry->effect);
    lock->unlock();
    effect();
    lock->lock();
    entry = Find(record.id);
  }
  if (record.result != CUDA_SUCCESS && failure_ == CUDA_SUCCESS) {
    failure_ = static_cast<CUresult>(record.result);
  }
  entry->over = true;
  if (entry->mark != nullptr) {
    entry->mark->over = true;
    entry->mark->end_ns = record.end_ns;
  }
  entry->mark.reset();
  entry->effect = nullptr;
  entry->host = nullptr;
  while (!entries_.empty() && entries_.front().over) {
    entries_.pop_front();
    ++first_;
  }
}

void Timeline::RunHostFunctions() {
  on_host_thread = true;
  while (true) {
    HostCall call;
    {
      Lock lock(*mutex_);
      host_changed_.wait(lock, [this] { return !host_calls_.empty(); });
      call = std::move(host_calls_.front());
      host_calls_.pop_front();
    }
    if (call.function) call.function(call.status);
    const std::lock_guard lock(*mutex_);
    PacketWriter writer;
    writer.Put(
        Note{Type::kHostDone, call.op, static_cast<std::uint64_t>(Now().since_epoch.count())});
    Send(writer);
  }
}

void Timeline::Lose(CUresult result) {
  Lock lock(*mutex_);
  connected_ = false;
  if (failure_ == CUDA_SUCCESS) failure_ = result;
  for (Entry& entry : entries_) {
    entry = Entry{};
    entry.over = true;
  }
  UnlockAndWake(&lock);
}

void Timeline::CountLateness(std::int64_t end_ns) {
  const Duration late = Now().since_epoch - Duration{end_ns};
  ++late_.counts[Lateness::StepOf(late)];
  late_.max_ns = std::max<std::int64_t>(late_.max_ns, late.count());
  ++late_count_;
}

void Timeline::TellLateness() {
  if (late_count_ == 0) return;
  PacketWriter writer;
  writer.Put(late_);
  Send(writer);
  late_ = {};
  late_count_ = 0;
}

}  // namespace stagger::vgpu
