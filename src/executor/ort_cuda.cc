#include "executor/ort_cuda.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <cstring>
#include <vector>

namespace stagger::executor {
namespace {

constexpr const char* kProvider = "CUDAExecutionProvider";

Result<bool> HasProvider(const Runtime& runtime) {
  const OrtApi& api = runtime.api();
  char** names = nullptr;
  int count = 0;
  if (const auto asked = runtime.Check(api.GetAvailableProviders(&names, &count)); !asked) {
    return asked.error();
  }
  bool found = false;
  for (int i = 0; i < count; ++i) found = found || std::strcmp(names[i], kProvider) == 0;
  // An error of this one leaves us nothing to do.
  (void)runtime.Check(api.ReleaseAvailableProviders(names, count));
  return found;
}

// Kept open: the runtime is about to use it.
Result<void> LoadDriver() {
  if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) != nullptr) return {};
  const char* why = dlerror();
  return Error{fmt::format("the CUDA driver does not load: {}; expected libcuda.so.1",
                           why != nullptr ? why : "no reason given")};
}

}  // namespace

Result<void> AppendCuda(const Runtime& runtime, OrtSessionOptions* options, const Target& target) {
  const auto refuse = [&](const std::string& why) {
    return Error{fmt::format("{}: {}", target.name, why)};
  };
  const Result<bool> has = HasProvider(runtime);
  if (!has) return refuse(has.error().message);
  if (!*has) {
    return refuse(
        fmt::format("ONNX Runtime {} in {} has no {}; expected a GPU package of it, in the app",
                    runtime.version(), runtime.path(), kProvider));
  }
  if (!target.why_not.empty()) return refuse(target.why_not);
  if (const auto driver = LoadDriver(); !driver) return refuse(driver.error().message);

  const OrtApi& api = runtime.api();
  OrtCUDAProviderOptionsV2* cuda = nullptr;
  Result<void> done = runtime.Check(api.CreateCUDAProviderOptions(&cuda));
  if (done) {
    // Nothing of the app's: its session asked for the CPU. The GPU is the only one we see.
    std::vector<const char*> keys{"device_id"};
    std::vector<const char*> values{"0"};
    const std::string memory = std::to_string(target.memory);
    if (target.memory > 0) {
      keys.push_back("gpu_mem_limit");
      values.push_back(memory.c_str());
    }
    done =
        runtime.Check(api.UpdateCUDAProviderOptions(cuda, keys.data(), values.data(), keys.size()));
    if (done) {
      done = runtime.Check(api.SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda));
    }
    api.ReleaseCUDAProviderOptions(cuda);
  }
  if (!done) {
    return refuse(fmt::format("the {} of ONNX Runtime {} in {} does not start: {}", kProvider,
                              runtime.version(), runtime.path(), done.error().message));
  }
  return {};
}

}  // namespace stagger::executor
