// An app that finds the runtime after its start: `dlopen_app RUNTIME MODEL TIMES COUNT` opens it by
// path, infers (waiting for a line on stdin after "pause"), closes it, and does that again.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

#include "model.h"

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  for (int k = 0; k < std::atoi(argv[3]); ++k) {
    void* runtime = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (runtime == nullptr) {
      std::printf("%s\n", dlerror());
      return 3;
    }
    auto* base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(runtime, "OrtGetApiBase"));
    {
      Model model(base()->GetApi(16), argv[2]);
      for (int i = 0; i < std::atoi(argv[4]); ++i) {
        if (i == 5) {  // someone may want to look
          std::puts("pause");
          std::fflush(stdout);
          if (std::getchar() == EOF) return 5;
        }
        const float value = model.Run(32);
        if (i % 100 == 0) std::printf("%d %d %.6f\n", k, i, static_cast<double>(value));
      }
    }
    std::printf("closed %d\n", dlclose(runtime));
  }
  return 0;
}
