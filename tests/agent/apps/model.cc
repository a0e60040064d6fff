#include "model.h"

#include <cstdio>
#include <cstdlib>
#include <future>

namespace {
constexpr const char* kInput = "x";
constexpr const char* kOutput = "y";
}  // namespace

void Model::Check(OrtStatus* status) {
  if (status == nullptr) return;
  std::printf("error: %s\n", api_->GetErrorMessage(status));
  std::exit(4);
}

Model::Model(const OrtApi* api, const char* path, const Settings& settings) : api_(api) {
  if (settings.logger != nullptr) {
    Check(api_->CreateEnvWithCustomLogger(settings.logger, nullptr, ORT_LOGGING_LEVEL_VERBOSE,
                                          "app", &env_));
  } else {
    Check(api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "app", &env_));
  }
  OrtSessionOptions* options = nullptr;
  Check(api_->CreateSessionOptions(&options));
  if (settings.threads > 0) Check(api_->SetIntraOpNumThreads(options, settings.threads));
  if (settings.spinning) {
    Check(api_->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "1"));
  }
  if (settings.operators != nullptr) {
    Check(api_->AddCustomOpDomain(options, settings.operators));
  }
  Check(api_->CreateSession(env_, path, options, &session_));
  api_->ReleaseSessionOptions(options);
  Check(api_->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory_));
}

Model::~Model() {
  api_->ReleaseMemoryInfo(memory_);
  api_->ReleaseSession(session_);
  api_->ReleaseEnv(env_);
}

OrtValue* Model::Input(int size, std::vector<float>* data) {
  // The model multiplies its input with itself; this one stays what it is.
  data->assign(static_cast<std::size_t>(size) * size, 1.0f / static_cast<float>(size));
  const int64_t shape[] = {size, size};
  OrtValue* value = nullptr;
  Check(api_->CreateTensorWithDataAsOrtValue(memory_, data->data(), data->size() * sizeof(float),
                                             shape, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                                             &value));
  return value;
}

float Model::First(OrtValue* value) {
  void* data = nullptr;
  Check(api_->GetTensorMutableData(value, &data));
  const float first = *static_cast<float*>(data);
  api_->ReleaseValue(value);
  return first;
}

float Model::Run(int size) {
  std::vector<float> data;
  OrtValue* input = Input(size, &data);
  OrtValue* output = nullptr;
  Check(api_->Run(session_, nullptr, &kInput, &input, 1, &kOutput, 1, &output));
  api_->ReleaseValue(input);
  return First(output);
}

float Model::RunWithBinding(int size) {
  std::vector<float> data;
  OrtValue* input = Input(size, &data);
  OrtIoBinding* binding = nullptr;
  Check(api_->CreateIoBinding(session_, &binding));
  Check(api_->BindInput(binding, kInput, input));
  Check(api_->BindOutputToDevice(binding, kOutput, memory_));
  Check(api_->RunWithBinding(session_, nullptr, binding));
  OrtAllocator* allocator = nullptr;
  Check(api_->GetAllocatorWithDefaultOptions(&allocator));
  OrtValue** outputs = nullptr;
  std::size_t count = 0;
  Check(api_->GetBoundOutputValues(binding, allocator, &outputs, &count));
  const float first = First(outputs[0]);
  Check(api_->AllocatorFree(allocator, outputs));
  api_->ReleaseIoBinding(binding);
  api_->ReleaseValue(input);
  return first;
}

float Model::RunAsync(int size) {
  struct Call {
    std::promise<OrtStatus*> done;
  } call;
  std::vector<float> data;
  OrtValue* input = Input(size, &data);
  OrtValue* output = nullptr;
  Check(api_->RunAsync(
      session_, nullptr, &kInput, &input, 1, &kOutput, 1, &output,
      [](void* argument, OrtValue**, std::size_t, OrtStatus* status) {
        static_cast<Call*>(argument)->done.set_value(status);
      },
      &call));
  Check(call.done.get_future().get());
  api_->ReleaseValue(input);
  return First(output);
}
