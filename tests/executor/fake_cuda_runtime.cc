// An ONNX Runtime that has a CUDA execution provider, for machines without a GPU: the real CPU
// runtime, whose table says so. Sessions that were given the provider compute on the CPU as always,
// and besides do on the (virtual) GPU what a provider does there: memory of their own, and for each
// inference kernels that it waits for. FAKE_CUDA_LOG names a file where it writes which options it
// was given, as lines of KEY=VALUE; FAKE_CUDA_FAILS: the provider does not start. Sessions on the
// CPU compute for FAKE_BUSY_US more, for each item of a call.
#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

struct OrtCUDAProviderOptionsV2 {
  std::map<std::string, std::string> values;
};

namespace {

using Address = unsigned long long;

// A body of 12 ms, and some light work behind it.
constexpr const char* kImage =
    "kernel layer cost=1ms demand=1 class=body\n"
    "kernel tail cost=200us class=post\n";
constexpr int kLayers = 12;
constexpr std::size_t kSessionBytes = std::size_t{64} << 20;

const OrtApiBase* real_base = nullptr;
const OrtApi* real = nullptr;
OrtApi table;

// Real handles are small allocations of the runtime's, so what we know lies beside them.
std::mutex mutex;
std::set<const OrtSessionOptions*> with_cuda;
struct OnGpu;
std::map<const OrtSession*, OnGpu*> sessions;

OrtStatus* Fail(const char* what) { return real->CreateStatus(ORT_FAIL, what); }

// The driver's, found as the CUDA runtime finds them, so that the agent sees the calls.
template <typename... Arguments>
bool Call(const char* name, Arguments... arguments) {
  static void* const driver = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver == nullptr) return false;
  const auto function = reinterpret_cast<int (*)(Arguments...)>(dlsym(driver, name));
  return function != nullptr && function(arguments...) == 0;
}

struct OnGpu {
  void* context = nullptr;
  void* stream = nullptr;
  void* layer = nullptr;
  void* tail = nullptr;
  Address memory = 0;
  Address frame = 0;

  bool Make() {
    void* module = nullptr;
    return Call<unsigned>("cuInit", 0) &&
           Call<void**, int>("cuDevicePrimaryCtxRetain", &context, 0) && Current() &&
           Call<void**, const void*>("cuModuleLoadData", &module, kImage) &&
           Call<void**, void*, const char*>("cuModuleGetFunction", &layer, module, "layer") &&
           Call<void**, void*, const char*>("cuModuleGetFunction", &tail, module, "tail") &&
           Call<void**, unsigned>("cuStreamCreate", &stream, 1) &&
           Call<Address*, std::size_t>("cuMemAlloc_v2", &memory, kSessionBytes) &&
           Call<Address*, std::size_t>("cuMemAlloc_v2", &frame, sizeof(float));
  }
  ~OnGpu() {
    if (!Current()) return;
    if (memory != 0) Call<Address>("cuMemFree_v2", memory);
    if (frame != 0) Call<Address>("cuMemFree_v2", frame);
    if (stream != nullptr) Call<void*>("cuStreamDestroy_v2", stream);
  }

  bool Current() const { return Call<void*>("cuCtxSetCurrent", context); }
  bool Launch(void* kernel) const {
    return Call<void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*,
                void**, void**>("cuLaunchKernel", kernel, 40, 1, 1, 256, 1, 1, 0, stream, nullptr,
                                nullptr);
  }
  // One inference: in, the body, what follows it, out.
  bool Infer() const {
    float number = 1;
    bool ok = Current() && Call<Address, const void*, std::size_t, void*>(
                               "cuMemcpyHtoDAsync_v2", frame, &number, sizeof number, stream);
    for (int i = 0; ok && i < kLayers; ++i) ok = Launch(layer);
    return ok && Call<void*>("cuStreamSynchronize", stream) && Launch(tail) &&
           Call<void*, Address, std::size_t, void*>("cuMemcpyDtoHAsync_v2", &number, frame,
                                                    sizeof number, stream) &&
           Call<void*>("cuStreamSynchronize", stream);
  }
};

// ---- the provider ------------------------------------------------------------------------------

OrtStatus* ORT_API_CALL GetAvailableProviders(char*** names, int* count) noexcept {
  *count = 2;
  *names = new char* [2] { strdup("CUDAExecutionProvider"), strdup("CPUExecutionProvider") };
  return nullptr;
}
OrtStatus* ORT_API_CALL ReleaseAvailableProviders(char** names, int count) noexcept {
  for (int i = 0; i < count; ++i) std::free(names[i]);
  delete[] names;
  return nullptr;
}
OrtStatus* ORT_API_CALL CreateOptions(OrtCUDAProviderOptionsV2** out) noexcept {
  *out = new OrtCUDAProviderOptionsV2;
  return nullptr;
}
OrtStatus* ORT_API_CALL UpdateOptions(OrtCUDAProviderOptionsV2* options, const char* const* keys,
                                      const char* const* values, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) options->values[keys[i]] = values[i];
  return nullptr;
}
void ORT_API_CALL ReleaseOptions(OrtCUDAProviderOptionsV2* options) noexcept { delete options; }

OrtStatus* ORT_API_CALL Append(OrtSessionOptions* options,
                               const OrtCUDAProviderOptionsV2* cuda) noexcept {
  if (std::getenv("FAKE_CUDA_FAILS") != nullptr) {
    return Fail("Failed to load libonnxruntime_providers_cuda.so: libcudnn.so.9 is missing");
  }
  if (const char* path = std::getenv("FAKE_CUDA_LOG")) {
    std::FILE* log = std::fopen(path, "a");
    for (const auto& [key, value] : cuda->values) {
      std::fprintf(log, "%s=%s\n", key.c_str(), value.c_str());
    }
    for (const char* name : {"CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE"}) {
      const char* value = std::getenv(name);
      std::fprintf(log, "%s=%s\n", name, value != nullptr ? value : "");
    }
    std::fclose(log);
  }
  const std::scoped_lock lock(mutex);
  with_cuda.insert(options);
  return nullptr;
}

// ---- sessions ----------------------------------------------------------------------------------

OrtStatus* Made(OrtStatus* status, const OrtSessionOptions* options, OrtSession** out) {
  {
    const std::scoped_lock lock(mutex);
    if (status != nullptr || !with_cuda.contains(options)) return status;
  }
  auto* gpu = new OnGpu;
  if (!gpu->Make()) {
    delete gpu;
    real->ReleaseSession(*out);
    *out = nullptr;
    return Fail("CUDA failure 100: no CUDA-capable device is detected");
  }
  const std::scoped_lock lock(mutex);
  sessions[*out] = gpu;
  return nullptr;
}
OrtStatus* ORT_API_CALL CreateSession(const OrtEnv* env, const ORTCHAR_T* path,
                                      const OrtSessionOptions* options, OrtSession** out) noexcept {
  return Made(real->CreateSession(env, path, options, out), options, out);
}
OrtStatus* ORT_API_CALL CreateSessionFromArray(const OrtEnv* env, const void* data,
                                               std::size_t size, const OrtSessionOptions* options,
                                               OrtSession** out) noexcept {
  return Made(real->CreateSessionFromArray(env, data, size, options, out), options, out);
}
void ORT_API_CALL ReleaseSession(OrtSession* session) noexcept {
  OnGpu* gpu = nullptr;
  {
    const std::scoped_lock lock(mutex);
    const auto found = sessions.find(session);
    if (found != sessions.end()) {
      gpu = found->second;
      sessions.erase(found);
    }
  }
  delete gpu;
  real->ReleaseSession(session);
}
void ORT_API_CALL ReleaseSessionOptions(OrtSessionOptions* options) noexcept {
  {
    const std::scoped_lock lock(mutex);
    with_cuda.erase(options);
  }
  real->ReleaseSessionOptions(options);
}

// The first dimension of a call's first input.
std::int64_t ItemsOf(const OrtValue* input) {
  OrtTensorTypeAndShapeInfo* shape = nullptr;
  std::size_t rank = 0;
  std::int64_t items = 1;
  real->ReleaseStatus(real->GetTensorTypeAndShape(input, &shape));
  real->ReleaseStatus(real->GetDimensionsCount(shape, &rank));
  if (rank > 0) real->ReleaseStatus(real->GetDimensions(shape, &items, 1));
  real->ReleaseTensorTypeAndShapeInfo(shape);
  return items;
}

// The thread's own time: as long on a slow machine as on a fast one, and on a busy one.
void Burn(std::int64_t items) {
  static const char* const us = std::getenv("FAKE_BUSY_US");
  if (us == nullptr) return;
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
  };
  const long long end = now() + items * std::atoll(us) * 1000;
  while (now() < end) {
  }
}

OrtStatus* ORT_API_CALL Run(OrtSession* session, const OrtRunOptions* options,
                            const char* const* input_names, const OrtValue* const* inputs,
                            std::size_t input_count, const char* const* output_names,
                            std::size_t output_count, OrtValue** outputs) noexcept {
  const OnGpu* gpu = nullptr;
  {
    const std::scoped_lock lock(mutex);
    const auto found = sessions.find(session);
    if (found != sessions.end()) gpu = found->second;
  }
  if (gpu == nullptr && input_count > 0) Burn(ItemsOf(inputs[0]));
  if (gpu != nullptr && !gpu->Infer()) return Fail("CUDA failure 700: an illegal address");
  return real->Run(session, options, input_names, inputs, input_count, output_names, output_count,
                   outputs);
}

const OrtApi* ORT_API_CALL GetApi(std::uint32_t version) noexcept {
  if (real_base->GetApi(version) == nullptr) return nullptr;
  return &table;
}
const char* ORT_API_CALL GetVersionString() noexcept { return real_base->GetVersionString(); }

bool Load() {
  // By version: an agent in the process answers to dlsym, and would hook the real runtime too.
  void* library = dlopen(REAL_RUNTIME, RTLD_NOW | RTLD_LOCAL);
  void* entry = library == nullptr
                    ? nullptr
                    : dlvsym(library, "OrtGetApiBase", "VERS_1." TEXT(ORT_API_VERSION) ".0");
  if (entry == nullptr) {
    std::fprintf(stderr, "fake_cuda_runtime: no %s\n", REAL_RUNTIME);
    std::abort();
  }
  real_base = reinterpret_cast<const OrtApiBase* (*)()>(entry)();
  real = real_base->GetApi(ORT_API_VERSION);
  table = *real;
  table.GetAvailableProviders = &GetAvailableProviders;
  table.ReleaseAvailableProviders = &ReleaseAvailableProviders;
  table.CreateCUDAProviderOptions = &CreateOptions;
  table.UpdateCUDAProviderOptions = &UpdateOptions;
  table.ReleaseCUDAProviderOptions = &ReleaseOptions;
  table.SessionOptionsAppendExecutionProvider_CUDA_V2 = &Append;
  table.CreateSession = &CreateSession;
  table.CreateSessionFromArray = &CreateSessionFromArray;
  table.ReleaseSession = &ReleaseSession;
  table.ReleaseSessionOptions = &ReleaseSessionOptions;
  table.Run = &Run;
  return true;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const OrtApiBase* ORT_API_CALL
OrtGetApiBase(void) noexcept {
  static const bool loaded = Load();
  static constexpr OrtApiBase kBase{&GetApi, &GetVersionString};
  return loaded ? &kBase : nullptr;
}
