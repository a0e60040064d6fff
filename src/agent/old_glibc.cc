// Stand-ins for what the static C++ runtime takes from newer glibcs, visible to the agent alone.
// They keep its oldest supported glibc at 2.28; none changes what the agent does.
#include <pthread.h>

#define STAGGER_HIDDEN extern "C" __attribute__((visibility("hidden"), used))

// glibc 2.32: lets shared_ptr skip atomics. "No" is always right.
extern "C" __attribute__((visibility("hidden"))) char __libc_single_threaded;
char __libc_single_threaded = 0;

// glibc 2.35: the unwinder's way to find frames. Nothing is ever thrown in the agent, so "not
// found" (which ends the search) is never asked for.
STAGGER_HIDDEN int _dl_find_object(void*, void*);
int _dl_find_object(void*, void*) { return -1; }

// glibc 2.34 moved it into libc; libstdc++ looks at its address only, to see that threads exist.
STAGGER_HIDDEN int __pthread_key_create(pthread_key_t* key, void (*destroy)(void*));
int __pthread_key_create(pthread_key_t* key, void (*destroy)(void*)) {
  return pthread_key_create(key, destroy);
}

#if defined(__x86_64__)
// Likewise. The name at the old version needs an alias of its own to be called from here.
extern "C" int stagger_old_pthread_once(pthread_once_t*, void (*)());
__asm__(".symver stagger_old_pthread_once,pthread_once@GLIBC_2.2.5");
STAGGER_HIDDEN int pthread_once(pthread_once_t* control, void (*routine)()) {
  return stagger_old_pthread_once(control, routine);
}
#endif
