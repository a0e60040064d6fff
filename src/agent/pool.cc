#include "agent/pool.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <set>
#include <string>

namespace stagger::agent {
namespace {

// The CPUs of `mask` that `allowed` has too. False: none, so leave the thread where it is.
bool Intersect(const wire::CoreMask& mask, const cpu_set_t& allowed, cpu_set_t* out) {
  CPU_ZERO(out);
  for (unsigned cpu = 0; cpu < 256; ++cpu) {
    if (mask.Has(cpu) && CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, out);
  }
  return CPU_COUNT(out) > 0;
}

}  // namespace

int UsableCores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  std::set<int> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    int first = cpu;
    const std::string path =
        "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list";
    if (FILE* file = fopen(path.c_str(), "re")) {
      char text[32] = {};
      if (fgets(text, sizeof text, file) != nullptr) first = atoi(text);
      fclose(file);
    }
    cores.insert(first);
  }
  return cores.empty() ? 1 : static_cast<int>(cores.size());
}

struct Pool::Thread {
  Pool* pool;
  void (*worker)(void*);
  void* argument;
  pthread_t handle;
  std::atomic<pid_t> id{0};
  cpu_set_t allowed;

  static void* Main(void* self_argument) {
    auto* self = static_cast<Thread*>(self_argument);
    self->id.store(static_cast<pid_t>(syscall(SYS_gettid)));
    self->worker(self->argument);
    self->id.store(0);
    return nullptr;
  }
};

const void* Pool::CreateThread(void* pool, void (*worker)(void*), void* argument) {
  auto* self = static_cast<Pool*>(pool);
  auto* thread = new (std::nothrow) Thread{self, worker, argument, {}, {}, {}};
  if (thread == nullptr) return nullptr;
  CPU_ZERO(&thread->allowed);
  sched_getaffinity(0, sizeof thread->allowed, &thread->allowed);
  MutexLock lock(&self->mutex_);
  if (pthread_create(&thread->handle, nullptr, &Thread::Main, thread) != 0) {
    delete thread;
    return nullptr;  // the runtime turns this into the error the app would have seen anyway
  }
  self->threads_.push_back(thread);
  return thread;
}

void Pool::JoinThread(const void* handle) {
  auto* thread = static_cast<Thread*>(const_cast<void*>(handle));
  if (thread == nullptr) return;
  pthread_join(thread->handle, nullptr);
  {
    MutexLock lock(&thread->pool->mutex_);
    std::erase(thread->pool->threads_, thread);
  }
  delete thread;
}

void Pool::PinTo(const wire::CoreMask& cores) {
  MutexLock lock(&mutex_);
  if (cores == placed_) return;
  placed_ = cores;
  for (Thread* thread : threads_) {
    const pid_t id = thread->id.load();
    if (id == 0) continue;
    cpu_set_t target;
    if (cores.empty() || !Intersect(cores, thread->allowed, &target)) target = thread->allowed;
    sched_setaffinity(id, sizeof target, &target);
  }
}

PinCaller::PinCaller(const wire::CoreMask& cores) {
  if (cores.empty()) return;
  CPU_ZERO(&before_);
  if (sched_getaffinity(0, sizeof before_, &before_) != 0) return;
  cpu_set_t target;
  if (!Intersect(cores, before_, &target) || CPU_EQUAL(&target, &before_)) return;
  moved_ = sched_setaffinity(0, sizeof target, &target) == 0;
}

PinCaller::~PinCaller() {
  if (moved_) sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace stagger::agent
