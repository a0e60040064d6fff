// Mutex and condition variable on plain pthreads: std::condition_variable would pull in symbols
// newer than the agent's oldest glibc, and waits here are on the monotonic clock.
#pragma once

#include <pthread.h>

#include <csignal>
#include <ctime>

#include "base/thread_annotations.h"
#include "base/time.h"

namespace stagger::agent {

class CAPABILITY("mutex") Mutex {
 public:
  Mutex() { pthread_mutex_init(&mutex_, nullptr); }
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  void Lock() ACQUIRE() { pthread_mutex_lock(&mutex_); }
  void Unlock() RELEASE() { pthread_mutex_unlock(&mutex_); }
  // After fork, in the child. It was held across the fork, and is free now.
  void Renew() RELEASE() { pthread_mutex_init(&mutex_, nullptr); }

 private:
  friend class Condition;
  pthread_mutex_t mutex_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_->Lock(); }
  ~MutexLock() RELEASE() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* mutex_;
};

class Condition {
 public:
  Condition() { Renew(); }
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;
  void Renew() {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&condition_, &attributes);
    pthread_condattr_destroy(&attributes);
  }
  void WaitUntil(Mutex* mutex, TimePoint until) REQUIRES(mutex) {
    const auto ns = until.since_epoch.count();
    timespec ts{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    pthread_cond_timedwait(&condition_, &mutex->mutex_, &ts);
  }
  void NotifyAll() { pthread_cond_broadcast(&condition_); }

 private:
  pthread_cond_t condition_;
};

// A thread of ours in the app, that nobody joins. It masks all signals: they are the app's. False:
// none could be started.
inline bool StartThread(void* (*main)(void*), void* argument) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const bool started = pthread_create(&thread, nullptr, main, argument) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started) pthread_detach(thread);
  return started;
}

}  // namespace stagger::agent
