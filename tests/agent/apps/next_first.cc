// Interposes a function of the next library and one of libc, as tools that wrap calls do.
#include <dlfcn.h>
#include <unistd.h>

extern "C" int Answer() {
  auto* next = reinterpret_cast<int (*)()>(dlsym(RTLD_NEXT, "Answer"));
  const int beyond = next != nullptr ? next() : -1;
  return 10 + beyond;
}

extern "C" pid_t getppid() noexcept {
  auto* next = reinterpret_cast<pid_t (*)()>(dlsym(RTLD_NEXT, "getppid"));
  return next != nullptr && next != &getppid ? 1000000000 : -1;
}
