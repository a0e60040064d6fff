// An app whose model has an operator of its own that computes on a GPU, through the CUDA driver
// API: what a CUDA execution provider does, seen from outside. `gpu_operator_app MODEL COUNT [cpu]`
// prints COUNT results; with "cpu" the operator computes here and never touches the GPU.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "model.h"

namespace {

using Result = int;
using Address = unsigned long long;

// The kernels take the time that their text gives them, on a GPU that reads it.
constexpr const char* kImage =
    "kernel layer cost=300us demand=1 class=body params=8,8,4 do=add\n"
    "kernel tail cost=50us class=post params=8,8,4 do=copy\n";
constexpr int kLayers = 10;

class Gpu {
 public:
  Gpu() {
    driver_ = dlopen("libcuda.so.1", RTLD_NOW);
    if (driver_ == nullptr) Fail("dlopen");
    Call<unsigned>("cuInit", 0);
    void* context = nullptr;
    Call<void**, int>("cuDevicePrimaryCtxRetain", &context, 0);
    Call<void*>("cuCtxSetCurrent", context);
    void* module = nullptr;
    Call<void**, const void*>("cuModuleLoadData", &module, kImage);
    Call<void**, void*, const char*>("cuModuleGetFunction", &layer_, module, "layer");
    Call<void**, void*, const char*>("cuModuleGetFunction", &tail_, module, "tail");
    Call<void**, unsigned>("cuStreamCreate", &stream_, 1);
  }

  // to = kLayers * from
  void Compute(const float* from, float* to, std::size_t count) {
    const std::size_t bytes = count * sizeof(float);
    if (bytes > size_) {
      Call<Address*, std::size_t>("cuMemAlloc_v2", &in_, bytes);
      Call<Address*, std::size_t>("cuMemAlloc_v2", &sum_, bytes);
      Call<Address*, std::size_t>("cuMemAlloc_v2", &out_, bytes);
      size_ = bytes;
    }
    Call<Address, const void*, std::size_t, void*>("cuMemcpyHtoDAsync_v2", in_, from, bytes,
                                                   stream_);
    Call<Address, unsigned, std::size_t, void*>("cuMemsetD32Async", sum_, 0, count, stream_);
    for (int i = 0; i < kLayers; ++i) Launch(layer_, sum_, in_, static_cast<int>(count));
    Call<void*>("cuStreamSynchronize", stream_);
    Launch(tail_, out_, sum_, static_cast<int>(count));
    Call<void*, Address, std::size_t, void*>("cuMemcpyDtoHAsync_v2", to, out_, bytes, stream_);
    Call<void*>("cuStreamSynchronize", stream_);
  }

 private:
  [[noreturn]] static void Fail(const char* what) {
    std::printf("error: %s\n", what);
    std::exit(4);
  }
  template <typename... Arguments>
  void Call(const char* name, Arguments... arguments) {
    const auto function = reinterpret_cast<Result (*)(Arguments...)>(dlsym(driver_, name));
    if (function == nullptr || function(arguments...) != 0) Fail(name);
  }
  void Launch(void* kernel, Address to, Address from, int count) {
    void* parameters[] = {&to, &from, &count};
    Call<void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**,
         void**>("cuLaunchKernel", kernel, 40, 1, 1, 256, 1, 1, 0, stream_, parameters, nullptr);
  }

  void* driver_ = nullptr;
  void* layer_ = nullptr;
  void* tail_ = nullptr;
  void* stream_ = nullptr;
  Address in_ = 0;
  Address sum_ = 0;
  Address out_ = 0;
  std::size_t size_ = 0;
};

const OrtApi* api = nullptr;
Gpu* gpu = nullptr;  // null: computes here

void Compute(void*, OrtKernelContext* context) {
  const OrtValue* input = nullptr;
  api->ReleaseStatus(api->KernelContext_GetInput(context, 0, &input));
  OrtTensorTypeAndShapeInfo* info = nullptr;
  api->ReleaseStatus(api->GetTensorTypeAndShape(input, &info));
  std::int64_t shape[2] = {};
  api->ReleaseStatus(api->GetDimensions(info, shape, 2));
  api->ReleaseTensorTypeAndShapeInfo(info);
  OrtValue* output = nullptr;
  api->ReleaseStatus(api->KernelContext_GetOutput(context, 0, shape, 2, &output));
  void* from = nullptr;
  void* to = nullptr;
  api->ReleaseStatus(api->GetTensorMutableData(const_cast<OrtValue*>(input), &from));
  api->ReleaseStatus(api->GetTensorMutableData(output, &to));
  const auto count = static_cast<std::size_t>(shape[0] * shape[1]);
  if (gpu != nullptr)
    return gpu->Compute(static_cast<float*>(from), static_cast<float*>(to), count);
  for (std::size_t i = 0; i < count; ++i) {
    float sum = 0;
    for (int layer = 0; layer < kLayers; ++layer) sum += static_cast<float*>(from)[i];
    static_cast<float*>(to)[i] = sum;
  }
}

OrtCustomOp Operator() {
  OrtCustomOp op{};
  op.version = 16;
  op.CreateKernel = [](const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*) -> void* {
    return &api;  // nothing to keep
  };
  op.GetName = [](const OrtCustomOp*) { return "OnGpu"; };
  op.GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };
  op.GetInputType = op.GetOutputType = [](const OrtCustomOp*, std::size_t) {
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  };
  op.GetInputTypeCount =
      op.GetOutputTypeCount = [](const OrtCustomOp*) -> std::size_t { return 1; };
  op.KernelCompute = &Compute;
  op.KernelDestroy = [](void*) {};
  op.GetInputCharacteristic = op.GetOutputCharacteristic = [](const OrtCustomOp*, std::size_t) {
    return INPUT_OUTPUT_REQUIRED;
  };
  op.GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return OrtMemTypeDefault; };
  op.GetVariadicInputMinArity = op.GetVariadicInputHomogeneity = op.GetVariadicOutputMinArity =
      op.GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 1; };
  return op;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  api = OrtGetApiBase()->GetApi(16);
  if (argc < 4) gpu = new Gpu;
  OrtCustomOp op = Operator();
  Settings settings;
  api->ReleaseStatus(api->CreateCustomOpDomain("test", &settings.operators));
  api->ReleaseStatus(api->CustomOpDomain_Add(settings.operators, &op));
  {
    Model model(api, argv[1], settings);
    for (int i = 0; i < std::atoi(argv[2]); ++i) {
      std::printf("%d %.6f\n", i, static_cast<double>(model.Run(64)));
      std::fflush(stdout);
    }
  }
  api->ReleaseCustomOpDomain(settings.operators);
  std::fflush(stdout);
  return 0;
}
