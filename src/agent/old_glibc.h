// Force-included into every file of the agent. Binds the functions that glibc 2.32-2.34 moved or
// re-versioned to the versions every glibc since 2.28 has, so that one agent built on Debian 12
// loads into apps in older containers (RHEL 8, Ubuntu 20.04). Checked by a test on the built
// library.
#pragma once

#if defined(__x86_64__)
#define STAGGER_BIND_OLD(name) __asm__(".symver " #name "," #name "@GLIBC_2.2.5")
STAGGER_BIND_OLD(dlvsym);
STAGGER_BIND_OLD(dlopen);
STAGGER_BIND_OLD(dlclose);
STAGGER_BIND_OLD(pthread_create);
STAGGER_BIND_OLD(pthread_join);
STAGGER_BIND_OLD(pthread_detach);
STAGGER_BIND_OLD(pthread_sigmask);
STAGGER_BIND_OLD(pthread_key_create);
STAGGER_BIND_OLD(dlerror);
STAGGER_BIND_OLD(dladdr);
#undef STAGGER_BIND_OLD
__asm__(".symver dladdr1,dladdr1@GLIBC_2.3.3");
__asm__(".symver pthread_condattr_setclock,pthread_condattr_setclock@GLIBC_2.3.3");
#endif
