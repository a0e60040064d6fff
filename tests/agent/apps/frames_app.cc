// An app that feeds any model with numbers of its own making, and asks about it. What it prints
// depends on nothing but its arguments. `frames_app MODE MODEL [...]`; "pause" on stdout means that
// it waits for a line on stdin.
#include <onnxruntime_c_api.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

const OrtApi* api = nullptr;

void Check(OrtStatus* status) {
  if (status == nullptr) return;
  std::printf("error: %s\n", api->GetErrorMessage(status));
  std::fflush(stdout);
  _exit(4);  // other threads may be in the runtime, which does not survive its own teardown
}

void Pause() {
  std::puts("pause");
  std::fflush(stdout);
  char line[16];
  if (std::fgets(line, sizeof line, stdin) == nullptr) std::exit(5);
}

struct Port {
  std::string name;
  std::vector<int64_t> dims;
};

class Frames {
 public:
  explicit Frames(const char* path, OrtSessionOptions* options = nullptr) {
    Check(api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "app", &env_));
    OrtSessionOptions* own = options;
    if (own == nullptr) Check(api->CreateSessionOptions(&own));
    if (OrtStatus* status = api->CreateSession(env_, path, own, &session_)) {
      std::printf("error: %s\n", api->GetErrorMessage(status));
      std::exit(4);
    }
    api->ReleaseSessionOptions(own);
    Check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory_));
    inputs_ = Ports(true);
    outputs_ = Ports(false);
  }
  ~Frames() {
    api->ReleaseMemoryInfo(memory_);
    api->ReleaseSession(session_);
    api->ReleaseEnv(env_);
  }
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;

  OrtSession* session() { return session_; }

  // All values of the last output.
  std::vector<float> Values(int frame, int64_t size, int64_t batch) {
    std::vector<float> values;
    Run(frame, size, batch, false, nullptr, &values);
    return values;
  }

  // Every output's first, last and added-up value. Dimensions without a number get `size`, the
  // first one `batch`.
  // `kept`: tensors for the outputs, made by the first call and brought by those after it.
  // `last`: the last output's values. Several threads may call it.
  std::string Run(int frame, int64_t size, int64_t batch, bool own_outputs = false,
                  std::vector<OrtValue*>* kept = nullptr, std::vector<float>* last = nullptr) {
    std::vector<std::vector<float>> data(inputs_.size());
    std::vector<OrtValue*> values;
    std::vector<const char*> names;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      std::vector<int64_t> dims = inputs_[i].dims;
      std::size_t count = 1;
      for (std::size_t d = 0; d < dims.size(); ++d) {
        if (dims[d] < 0) dims[d] = d == 0 && batch > 0 ? batch : size;
        count *= static_cast<std::size_t>(dims[d]);
      }
      data[i].resize(count);
      unsigned state = static_cast<unsigned>(frame) * 7919U + 17U;
      for (float& value : data[i]) {
        state = state * 1664525U + 1013904223U;
        value = static_cast<float>(state >> 8) / 16777216.0F / static_cast<float>(size);
        if (frame >= 1'000'000) value += 1000;  // more than some models take
      }
      OrtValue* value = nullptr;
      Check(api->CreateTensorWithDataAsOrtValue(memory_, data[i].data(), count * sizeof(float),
                                                dims.data(), dims.size(),
                                                ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
      values.push_back(value);
      names.push_back(inputs_[i].name.c_str());
    }
    std::vector<const char*> wanted;
    for (const Port& port : outputs_) wanted.push_back(port.name.c_str());
    std::vector<OrtValue*> results(wanted.size(), nullptr);
    if (kept != nullptr && !kept->empty()) results = *kept;
    if (own_outputs) results = Run(names, values, wanted, results);  // of the right shapes
    results = Run(names, values, wanted, results);
    std::string text;
    for (OrtValue* result : results) {
      text += Shown(result, last);
      if (kept == nullptr) api->ReleaseValue(result);
    }
    if (kept != nullptr) *kept = results;
    for (OrtValue* value : values) api->ReleaseValue(value);
    return text;
  }

  // The message of a call that cannot work.
  std::string Fail(const char* input, std::vector<int64_t> dims) {
    std::size_t count = 1;
    for (const int64_t dim : dims) count *= static_cast<std::size_t>(dim);
    std::vector<float> data(count);
    OrtValue* value = nullptr;
    Check(api->CreateTensorWithDataAsOrtValue(memory_, data.data(), count * sizeof(float),
                                              dims.data(), dims.size(),
                                              ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    const char* output = outputs_[0].name.c_str();
    OrtValue* result = nullptr;
    OrtStatus* status = api->Run(session_, nullptr, &input, &value, 1, &output, 1, &result);
    api->ReleaseValue(value);
    if (status == nullptr) return "worked";
    std::string message = api->GetErrorMessage(status);
    api->ReleaseStatus(status);
    return message;
  }

  void Describe() {
    for (const bool inputs : {true, false}) {
      std::size_t count = 0;
      Check(inputs ? api->SessionGetInputCount(session_, &count)
                   : api->SessionGetOutputCount(session_, &count));
      for (std::size_t i = 0; i < count; ++i) {
        std::printf("%s %zu %s\n", inputs ? "input" : "output", i,
                    (inputs ? inputs_ : outputs_)[i].name.c_str());
        OrtTypeInfo* info = nullptr;
        Check(inputs ? api->SessionGetInputTypeInfo(session_, i, &info)
                     : api->SessionGetOutputTypeInfo(session_, i, &info));
        DescribeType(info);
        api->ReleaseTypeInfo(info);
      }
    }
    std::size_t overridable = 0;
    Check(api->SessionGetOverridableInitializerCount(session_, &overridable));
    std::printf("overridable %zu\n", overridable);
    DescribeMetadata();
  }

 private:
  std::vector<OrtValue*> Run(const std::vector<const char*>& names,
                             const std::vector<OrtValue*>& values,
                             const std::vector<const char*>& wanted,
                             std::vector<OrtValue*> results) {
    Check(api->Run(session_, nullptr, names.data(), values.data(), values.size(), wanted.data(),
                   wanted.size(), results.data()));
    return results;
  }

  static std::string Shown(OrtValue* value, std::vector<float>* values) {
    void* at = nullptr;
    OrtTensorTypeAndShapeInfo* shape = nullptr;
    std::size_t count = 0;
    Check(api->GetTensorMutableData(value, &at));
    Check(api->GetTensorTypeAndShape(value, &shape));
    Check(api->GetTensorShapeElementCount(shape, &count));
    api->ReleaseTensorTypeAndShapeInfo(shape);
    const auto* numbers = static_cast<const float*>(at);
    if (values != nullptr) values->assign(numbers, numbers + count);
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(numbers[i]);
    char text[128];
    std::snprintf(text, sizeof text, " %zu:%.5g,%.5g,%.5g", count, static_cast<double>(numbers[0]),
                  static_cast<double>(numbers[count - 1]), sum);
    return text;
  }

  static void DescribeType(const OrtTypeInfo* info) {
    ONNXType kind = ONNX_TYPE_UNKNOWN;
    Check(api->GetOnnxTypeFromTypeInfo(info, &kind));
    const char* denotation = nullptr;
    std::size_t length = 0;
    Check(api->GetDenotationFromTypeInfo(info, &denotation, &length));
    const OrtTensorTypeAndShapeInfo* shape = nullptr;
    Check(api->CastTypeInfoToTensorInfo(info, &shape));
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    std::size_t rank = 0;
    Check(api->GetTensorElementType(shape, &type));
    Check(api->GetDimensionsCount(shape, &rank));
    std::vector<int64_t> dims(rank);
    std::vector<const char*> symbols(rank);
    Check(api->GetDimensions(shape, dims.data(), rank));
    Check(api->GetSymbolicDimensions(shape, symbols.data(), rank));
    std::printf("  kind %d type %d '%.*s' shape", kind, type, static_cast<int>(length), denotation);
    for (std::size_t i = 0; i < rank; ++i) {
      std::printf(" %lld/%s", static_cast<long long>(dims[i]), symbols[i]);
    }
    std::printf(" %s\n", api->TensorTypeAndShape_HasShape(shape) ? "known" : "unknown");
  }

  void DescribeMetadata() {
    OrtModelMetadata* metadata = nullptr;
    OrtAllocator* allocator = nullptr;
    Check(api->SessionGetModelMetadata(session_, &metadata));
    Check(api->GetAllocatorWithDefaultOptions(&allocator));
    using Getter = OrtStatus*(ORT_API_CALL*)(const OrtModelMetadata*, OrtAllocator*, char**);
    const std::pair<const char*, Getter> texts[] = {
        {"producer", api->ModelMetadataGetProducerName},
        {"graph", api->ModelMetadataGetGraphName},
        {"domain", api->ModelMetadataGetDomain},
        {"description", api->ModelMetadataGetDescription},
        {"graph description", api->ModelMetadataGetGraphDescription}};
    for (const auto& [name, get] : texts) {
      char* text = nullptr;
      Check(get(metadata, allocator, &text));
      std::printf("%s '%s'\n", name, text);
      allocator->Free(allocator, text);
    }
    int64_t version = 0;
    Check(api->ModelMetadataGetVersion(metadata, &version));
    std::printf("version %lld\n", static_cast<long long>(version));
    char** keys = nullptr;
    int64_t count = 0;
    Check(api->ModelMetadataGetCustomMetadataMapKeys(metadata, allocator, &keys, &count));
    for (int64_t i = 0; i < count; ++i) {
      char* value = nullptr;
      Check(api->ModelMetadataLookupCustomMetadataMap(metadata, allocator, keys[i], &value));
      std::printf("  %s = %s\n", keys[i], value);
      allocator->Free(allocator, value);
      allocator->Free(allocator, keys[i]);
    }
    if (count > 0) allocator->Free(allocator, keys);
    api->ReleaseModelMetadata(metadata);
  }

  std::vector<Port> Ports(bool inputs) {
    std::size_t count = 0;
    OrtAllocator* allocator = nullptr;
    Check(api->GetAllocatorWithDefaultOptions(&allocator));
    Check(inputs ? api->SessionGetInputCount(session_, &count)
                 : api->SessionGetOutputCount(session_, &count));
    std::vector<Port> ports(count);
    for (std::size_t i = 0; i < count; ++i) {
      char* name = nullptr;
      Check(inputs ? api->SessionGetInputName(session_, i, allocator, &name)
                   : api->SessionGetOutputName(session_, i, allocator, &name));
      ports[i].name = name;
      allocator->Free(allocator, name);
      OrtTypeInfo* info = nullptr;
      Check(inputs ? api->SessionGetInputTypeInfo(session_, i, &info)
                   : api->SessionGetOutputTypeInfo(session_, i, &info));
      const OrtTensorTypeAndShapeInfo* shape = nullptr;
      Check(api->CastTypeInfoToTensorInfo(info, &shape));
      std::size_t rank = 0;
      Check(api->GetDimensionsCount(shape, &rank));
      ports[i].dims.resize(rank);
      Check(api->GetDimensions(shape, ports[i].dims.data(), rank));
      api->ReleaseTypeInfo(info);
    }
    return ports;
  }

  OrtEnv* env_ = nullptr;
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
};

// COUNT frames of SIZE, a pause before each numbered one that follows.
int Run(const char* path, int count, int size, int batch, int argc, char** argv) {
  Frames frames(path);
  for (int i = 0; i < count; ++i) {
    for (int k = 0; k < argc; ++k) {
      if (std::atoi(argv[k]) == i) Pause();
    }
    std::printf("%d%s\n", i, frames.Run(i, size, batch).c_str());
    std::fflush(stdout);
  }
  return 0;
}

// COUNT frames of a camera of FPS (0: always one ready); says of each what came out and when, in ms
// since the first or the last pause. KIND: "new" outputs each time, "kept" ones, or "varying"
// sizes.
int Camera(const char* path, int count, int size, double fps, const std::string& kind, int argc,
           char** argv) {
  Frames frames(path);
  std::vector<OrtValue*> kept;
  auto start = std::chrono::steady_clock::now();
  int first = 0;
  for (int i = 0; i < count; ++i) {
    for (int k = 0; k < argc; ++k) {
      if (std::atoi(argv[k]) != i) continue;
      Pause();
      start = std::chrono::steady_clock::now();
      first = i;
    }
    if (fps > 0) {
      std::this_thread::sleep_until(
          start + std::chrono::nanoseconds(static_cast<long long>((i - first) * 1e9 / fps)));
    }
    const int of_size = kind == "varying" ? size + i % 2 : size;
    const std::string text = frames.Run(i, of_size, 0, false, kind == "kept" ? &kept : nullptr);
    const std::chrono::duration<double, std::milli> at = std::chrono::steady_clock::now() - start;
    std::printf("%d %.3f%s\n", i, at.count(), text.c_str());
    std::fflush(stdout);
  }
  for (OrtValue* value : kept) api->ReleaseValue(value);
  return 3;
}

// Threads that call one session, each with frames of its own.
int Threads(const char* path, int count, int size, int batch) {
  Frames frames(path);
  std::vector<std::string> expected;
  for (int t = 0; t < 4; ++t) expected.push_back(frames.Run(t, size, batch));
  Pause();
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < count; ++i) good += frames.Run(t, size, batch) == expected[t] ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("good %d of %d\n", good.load(), 4 * count);
  return 0;
}

// Frames until stdin ends; says how long each call took at the most. Of a second model, on a thread
// of its own, as well.
int Endless(const char* path, int size, int batch, const char* second) {
  Frames frames(path);
  std::optional<Frames> others;
  std::vector<std::string> expected;
  std::vector<std::string> expected_of_others;
  for (int i = 0; i < 4; ++i) expected.push_back(frames.Run(i, size, batch));
  if (second != nullptr) {
    others.emplace(second);
    for (int i = 0; i < 4; ++i) expected_of_others.push_back(others->Run(i, size, batch));
  }
  std::atomic<bool> stop{false};
  std::puts("running");
  std::fflush(stdout);
  std::thread reader([&] {
    while (std::getchar() != EOF) {
    }
    stop = true;
  });
  std::atomic<int> wrong{0};
  std::atomic<long long> calls_of_others{0};
  std::thread beside([&] {
    for (; others && !stop; ++calls_of_others) {
      const auto frame = static_cast<int>(calls_of_others % 4);
      wrong +=
          others->Run(frame, size, batch) == expected_of_others[static_cast<std::size_t>(frame)]
              ? 0
              : 1;
    }
  });
  long long calls = 0;
  double longest_ms = 0;
  while (!stop) {
    const int frame = static_cast<int>(calls % 4);
    const auto start = std::chrono::steady_clock::now();
    wrong += frames.Run(frame, size, batch) == expected[static_cast<std::size_t>(frame)] ? 0 : 1;
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (took.count() > longest_ms) longest_ms = took.count();
    ++calls;
  }
  reader.join();
  beside.join();
  std::printf("wrong %d\ncalls %lld\nlongest_ms %.1f\n", wrong.load(), calls, longest_ms);
  if (others) std::printf("others %lld\n", calls_of_others.load());
  return 0;
}

// Eight frames from FIRST on: writes their results to FILE, or, if it is there, compares until
// stdin ends: every value within 1e-5 of the largest.
int Check(const char* path, int first, int batch, const char* file) {
  constexpr int kFrames = 8;
  Frames frames(path);
  std::vector<std::vector<float>> expected;
  for (int i = 0; i < kFrames; ++i) expected.push_back(frames.Values(first + i, 8, batch));
  if (std::FILE* known = std::fopen(file, "rb")) {
    for (std::vector<float>& values : expected) {
      if (std::fread(values.data(), sizeof(float), values.size(), known) != values.size()) return 6;
    }
    std::fclose(known);
  } else {
    known = std::fopen(file, "wb");
    for (const std::vector<float>& values : expected) {
      std::fwrite(values.data(), sizeof(float), values.size(), known);
    }
    return std::fclose(known);
  }
  std::atomic<bool> stop{false};
  std::puts("running");
  std::fflush(stdout);
  std::thread reader([&] {
    while (std::getchar() != EOF) {
    }
    stop = true;
  });
  int wrong = 0;
  int calls = 0;
  for (; !stop || calls < kFrames; ++calls) {
    const std::vector<float>& right = expected[static_cast<std::size_t>(calls % kFrames)];
    const std::vector<float> got = frames.Values(first + calls % kFrames, 8, batch);
    float largest = 0;
    float apart = got.size() == right.size() ? 0 : 1e9F;
    for (std::size_t i = 0; i < std::min(got.size(), right.size()); ++i) {
      largest = std::max(largest, std::fabs(right[i]));
      apart = std::max(apart, std::fabs(got[i] - right[i]));
    }
    wrong += apart <= 1e-5F * largest ? 0 : 1;
  }
  reader.join();
  std::printf("wrong %d\ncalls %d\n", wrong, calls);
  return 0;
}

int Errors(const char* path) {
  Frames frames(path);
  std::printf("name: %s\n", frames.Fail("nonsense", {2, 2}).c_str());
  std::printf("shape: %s\n", frames.Fail("x", {2, 2, 2}).c_str());
  std::printf("uneven: %s\n", frames.Fail("x", {2, 3}).c_str());
  std::printf("own outputs:%s\n", frames.Run(1, 8, 0, true).c_str());
  return 0;
}

// Sessions whose options keep them in the app, or have to reach the executor.
int Option(const char* path, const std::string& what, int size) {
  OrtSessionOptions* options = nullptr;
  Check(api->CreateSessionOptions(&options));
  if (what == "optimize-none") {
    Check(api->SetSessionGraphOptimizationLevel(options, ORT_DISABLE_ALL));
  } else if (what == "free-dim") {
    Check(api->AddFreeDimensionOverrideByName(options, "N", size));
  } else if (what == "denormal") {
    Check(api->AddSessionConfigEntry(options, "session.set_denormal_as_zero", "1"));
  } else if (what == "unknown") {
    Check(api->AddSessionConfigEntry(options, "session.something_new", "1"));
  } else if (what == "custom-ops") {
    OrtCustomOpDomain* domain = nullptr;
    Check(api->CreateCustomOpDomain("app.own", &domain));
    Check(api->AddCustomOpDomain(options, domain));
  }
  Frames frames(path, options);
  frames.Describe();
  std::printf("0%s\n", frames.Run(0, size, 0).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  const std::string mode = argv[1];
  const auto number = [&](int i, int otherwise) {
    return argc > i ? std::atoi(argv[i]) : otherwise;
  };
  if (mode == "describe") {
    Frames(argv[2]).Describe();
    return 0;
  }
  if (mode == "run") {
    return Run(argv[2], number(3, 1), number(4, 8), number(5, 0), argc > 6 ? argc - 6 : 0,
               argv + 6);
  }
  if (mode == "camera" && argc > 6) {
    return Camera(argv[2], number(3, 1), number(4, 8), std::atof(argv[5]), argv[6], argc - 7,
                  argv + 7);
  }
  if (mode == "threads") return Threads(argv[2], number(3, 1), number(4, 8), number(5, 0));
  if (mode == "endless") {
    return Endless(argv[2], number(3, 8), number(4, 0), argc > 5 ? argv[5] : nullptr);
  }
  if (mode == "check" && argc > 5) return Check(argv[2], number(3, 0), number(4, 1), argv[5]);
  if (mode == "errors") return Errors(argv[2]);
  if (mode == "option" && argc > 3) return Option(argv[2], argv[3], number(4, 8));
  return 2;
}
