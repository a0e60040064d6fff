// ONNX Runtimes, opened by path: an app's inferences run in the very runtime that the app uses.
// An executor may hold several. Opening is for one thread at a time; using one is thread-safe.
#pragma once

#include <onnxruntime_c_api.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "executor/backend.h"

namespace stagger::executor {

class Runtime {
 public:
  static Result<std::unique_ptr<Runtime>> Open(const std::string& path);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const OrtApi& api() const { return *api_; }
  OrtEnv* env() const { return env_; }
  const std::string& version() const { return version_; }
  const std::string& path() const { return path_; }

  // Takes ownership of a status: an error with the runtime's words, or success.
  Result<void> Check(OrtStatus* status) const;

 private:
  Runtime() = default;
  const OrtApi* api_ = nullptr;
  OrtEnv* env_ = nullptr;
  std::string version_;
  std::string path_;
};

// Calls of one runtime, each only where those before it worked: `calls(...) && calls(...)`.
class Calls {
 public:
  explicit Calls(const Runtime& runtime) : runtime_(runtime) {}
  bool operator()(OrtStatus* status) {
    done_ = runtime_.Check(status);
    return done_.has_value();
  }
  const Result<void>& done() const { return done_; }

 private:
  const Runtime& runtime_;
  Result<void> done_;
};

class Runtimes {
 public:
  // The runtime in that file, which must be the one the client sees there.
  Result<Runtime*> Get(const RuntimeFile& file);

 private:
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::unique_ptr<Runtime>> open_;
};

}  // namespace stagger::executor
