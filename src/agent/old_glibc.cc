// Stand-ins for what the static C++ runtime takes from newer glibcs, visible to the agent alone.
// They keep its oldest supported glibc at 2.28; none changes what the agent does.
#include <pthread.h>

#define STAGGER_HIDDEN extern "C" __attribute__((visibility("hidden"), used))

// glibc 2.32: lets shared_ptr skip atomics. "No" is always right.
STAGGER_HIDDEN char __libc_single_threaded;
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
