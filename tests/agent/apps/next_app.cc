// Prints what RTLD_NEXT and RTLD_DEFAULT mean from where they are asked.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>

extern "C" int Answer();

int main() {
  std::printf("answer %d\n", Answer());
  std::printf("parent %d\n", static_cast<int>(getppid()));
  auto* found = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "Answer"));
  std::printf("default is the first: %d\n", found == &Answer);
  std::printf("missing: %d\n", dlsym(RTLD_DEFAULT, "no_such_function_anywhere") == nullptr);
  const char* error = dlerror();
  std::printf("error: %s\n", error != nullptr ? "yes" : "no");
  return 7;
}
