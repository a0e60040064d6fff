// Which lock guards what, for clang's -Wthread-safety; nothing to other compilers. The lock class
// that they name is agent::Mutex (agent/sync.h).
#pragma once

#ifdef __clang__
#define STAGGER_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define STAGGER_THREAD_ATTRIBUTE(x)
#endif

#define CAPABILITY(name) STAGGER_THREAD_ATTRIBUTE(capability(name))
#define SCOPED_CAPABILITY STAGGER_THREAD_ATTRIBUTE(scoped_lockable)
#define GUARDED_BY(lock) STAGGER_THREAD_ATTRIBUTE(guarded_by(lock))
#define PT_GUARDED_BY(lock) STAGGER_THREAD_ATTRIBUTE(pt_guarded_by(lock))
#define REQUIRES(...) STAGGER_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) STAGGER_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RELEASE(...) STAGGER_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define EXCLUDES(...) STAGGER_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS STAGGER_THREAD_ATTRIBUTE(no_thread_safety_analysis)
