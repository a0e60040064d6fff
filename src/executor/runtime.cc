#include "executor/runtime.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/try.h"

namespace stagger::executor {
namespace {

// What we call came with 1.17 or before.
constexpr unsigned kOldest = 17;

unsigned MinorVersion(const std::string& text) {
  if (!text.starts_with("1.")) return 0;
  return static_cast<unsigned>(std::strtoul(text.c_str() + 2, nullptr, 10));
}

}  // namespace

Result<std::unique_ptr<Runtime>> Runtime::Open(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return Error{fmt::format("cannot open the runtime: {}", dlerror())};
  auto* entry = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  if (entry == nullptr) return Error{fmt::format("{} is not an ONNX Runtime", path)};
  std::unique_ptr<Runtime> runtime(new Runtime);
  runtime->version_ = entry()->GetVersionString();
  runtime->path_ = path;
  const unsigned minor = MinorVersion(runtime->version_);
  if (minor < kOldest) {
    return Error{fmt::format("ONNX Runtime {} is too old: 1.{} or newer is needed",
                             runtime->version_, kOldest)};
  }
  runtime->api_ = entry()->GetApi(kOldest);
  if (runtime->api_ == nullptr) return Error{fmt::format("{} offers no interface", path)};
  const Result<void> made = runtime->Check(
      runtime->api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "stagger-executor", &runtime->env_));
  if (!made) return made.error();
  return runtime;
}

// The library stays loaded: its threads and registries don't take being unmapped.
Runtime::~Runtime() {
  if (env_ != nullptr) api_->ReleaseEnv(env_);
}

Result<void> Runtime::Check(OrtStatus* status) const {
  if (status == nullptr) return {};
  Error error{api_->GetErrorMessage(status)};
  api_->ReleaseStatus(status);
  return error;
}

Result<Runtime*> Runtimes::Get(const RuntimeFile& file) {
  const std::string& path = file.path;
  struct stat info {};
  if (!path.starts_with('/') || stat(path.c_str(), &info) != 0) {
    return Error{fmt::format("the app's runtime is not to be found here: {}", path)};
  }
  if (info.st_dev != file.device || info.st_ino != file.inode) {
    return Error{fmt::format("the app's runtime is another file here: {}", path)};
  }
  std::unique_ptr<Runtime>& runtime = open_[{file.device, file.inode}];
  if (!runtime) {
    runtime = STAGGER_TRY(Runtime::Open(path));
  }
  return runtime.get();
}

}  // namespace stagger::executor
