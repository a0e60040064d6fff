// An app of ONNX Runtime on the CPU, which asks for no GPU: `ort_app RUNTIME MODEL FRAMES` opens
// the runtime by path, infers frames of its own making and prints, as its last line, the values of
// the outputs of every frame (the first thousand of each) and how long calls took. MODEL takes
// images of floats along a first dimension (tools/random_model.py).
#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

const OrtApi* api = nullptr;

void Check(OrtStatus* status) {
  if (status == nullptr) return;
  std::fprintf(stderr, "ort_app: %s\n", api->GetErrorMessage(status));
  std::_Exit(4);
}

std::vector<std::int64_t> Dims(OrtTypeInfo* info) {
  const OrtTensorTypeAndShapeInfo* shape = nullptr;
  std::size_t rank = 0;
  Check(api->CastTypeInfoToTensorInfo(info, &shape));
  Check(api->GetDimensionsCount(shape, &rank));
  std::vector<std::int64_t> dims(rank);
  Check(api->GetDimensions(shape, dims.data(), rank));
  for (std::int64_t& dim : dims) dim = std::max<std::int64_t>(dim, 1);
  return dims;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  void* runtime = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (runtime == nullptr) {
    std::fprintf(stderr, "ort_app: %s\n", dlerror());
    return 3;
  }
  api = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(runtime, "OrtGetApiBase"))()->GetApi(17);
  OrtEnv* env = nullptr;
  OrtSessionOptions* options = nullptr;
  OrtSession* session = nullptr;
  OrtMemoryInfo* memory = nullptr;
  OrtAllocator* allocator = nullptr;
  Check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "ort_app", &env));
  Check(api->CreateSessionOptions(&options));
  Check(api->CreateSession(env, argv[2], options, &session));
  Check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  Check(api->GetAllocatorWithDefaultOptions(&allocator));
  char* input = nullptr;
  OrtTypeInfo* info = nullptr;
  Check(api->SessionGetInputName(session, 0, allocator, &input));
  Check(api->SessionGetInputTypeInfo(session, 0, &info));
  const std::vector<std::int64_t> dims = Dims(info);
  std::size_t count = 1;
  for (const std::int64_t dim : dims) count *= static_cast<std::size_t>(dim);
  std::size_t outputs = 0;
  Check(api->SessionGetOutputCount(session, &outputs));
  std::vector<char*> names(outputs);
  for (std::size_t i = 0; i < outputs; ++i) {
    Check(api->SessionGetOutputName(session, i, allocator, &names[i]));
  }
  std::vector<float> data(count);
  std::vector<double> took;
  std::string values;
  unsigned state = 17;
  for (int frame = 0; frame < std::atoi(argv[3]); ++frame) {
    for (float& value : data) {
      state = state * 1664525U + 1013904223U;
      value = static_cast<float>(state >> 8) / 16777216.0F;
    }
    OrtValue* tensor = nullptr;
    Check(api->CreateTensorWithDataAsOrtValue(memory, data.data(), count * sizeof(float),
                                              dims.data(), dims.size(),
                                              ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &tensor));
    std::vector<OrtValue*> results(outputs, nullptr);
    const auto start = std::chrono::steady_clock::now();
    Check(api->Run(session, nullptr, &input, &tensor, 1, names.data(), outputs, results.data()));
    took.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
    for (OrtValue* result : results) {
      void* at = nullptr;
      OrtTensorTypeAndShapeInfo* shape = nullptr;
      std::size_t size = 0;
      Check(api->GetTensorMutableData(result, &at));
      Check(api->GetTensorTypeAndShape(result, &shape));
      Check(api->GetTensorShapeElementCount(shape, &size));
      api->ReleaseTensorTypeAndShapeInfo(shape);
      for (std::size_t i = 0; i < std::min<std::size_t>(size, 1000); ++i) {
        char text[32];
        std::snprintf(text, sizeof text, "%s%.9g", values.empty() ? "" : ",",
                      static_cast<double>(static_cast<const float*>(at)[i]));
        values += text;
      }
      api->ReleaseValue(result);
    }
    api->ReleaseValue(tensor);
  }
  std::sort(took.begin(), took.end());
  std::printf("{\"frames\":%zu,\"p50_ms\":%.4f,\"max_ms\":%.4f,\"values\":[%s]}\n", took.size(),
              took.empty() ? 0 : took[took.size() / 2], took.empty() ? 0 : took.back(),
              values.c_str());
  return 0;
}
