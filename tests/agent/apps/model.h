// One session on a small model, through the C API that the caller found.
#pragma once

#include <onnxruntime_c_api.h>

#include <vector>

struct Settings {
  int threads = 0;                         // 0: the runtime decides
  bool spinning = false;                   // ask for it in so many words
  OrtLoggingFunction logger = nullptr;     // hears everything
  OrtCustomOpDomain* operators = nullptr;  // of the app's own
};

class Model {
 public:
  Model(const OrtApi* api, const char* path, const Settings& settings = {});
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Each returns the same number for the same `size`, wherever it is computed.
  float Run(int size);
  float RunWithBinding(int size);
  float RunAsync(int size);

 private:
  OrtValue* Input(int size, std::vector<float>* data);
  float First(OrtValue* value);  // and releases it
  void Check(OrtStatus* status);

  const OrtApi* api_;
  OrtEnv* env_ = nullptr;
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
};
