#include "launch/installation.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

namespace stagger::cli {
namespace {

namespace fs = std::filesystem;

Result<std::string> Existing(const std::string& path, std::string_view what, std::string_view fix) {
  if (access(path.c_str(), R_OK) != 0) {
    return Error{fmt::format("{} is not at {}; {}", what, path, fix)};
  }
  return path;
}

std::string FromEnvironment(const char* variable, const fs::path& otherwise) {
  const char* value = std::getenv(variable);
  if (value == nullptr || *value == '\0') return otherwise.string();
  return fs::absolute(value).lexically_normal().string();
}

struct CudaDriver {
  bool loads = false;
  std::string trouble;  // it is there and does not load
};

// Looked for as an app will, by the dynamic linker. Once: a driver may take its time.
const CudaDriver& FindDriver() {
  static const CudaDriver found = [] {
    CudaDriver driver;
    if (void* handle = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL)) {
      dlclose(handle);
      driver.loads = true;
      return driver;
    }
    const char* why = dlerror();
    driver.trouble = why != nullptr ? why : "no reason given";
    // That no file of this name was found is the linker's own, fixed way to say "none".
    if (driver.trouble.starts_with("libcuda.so.1: cannot open shared object file")) {
      driver.trouble.clear();
    }
    return driver;
  }();
  return found;
}

// LD_PRELOAD separates its libraries by these.
Result<std::string> Preloadable(const std::string& path, std::string_view variable) {
  if (path.find_first_of(": ") != std::string::npos) {
    return Error{
        fmt::format("the agent's path '{}' holds a colon or a space, which LD_PRELOAD cannot "
                    "carry; move it, or set {} to a copy elsewhere",
                    path, variable)};
  }
  return Existing(path, "the agent", fmt::format("build it, or set {} to its path", variable));
}

}  // namespace

Result<Installation> Installation::Find() {
  std::error_code failure;
  const fs::path self = fs::read_symlink("/proc/self/exe", failure);
  if (failure) return Error{"cannot tell where this program lies: /proc/self/exe is unreadable"};
  const fs::path root = self.parent_path().parent_path();
  Installation found;
  found.daemon_ = FromEnvironment("STAGGERD", root / "bin" / "staggerd");
  found.programs_ = (root / "bin").string();
  found.agent_ = FromEnvironment("STAGGER_AGENT", root / "lib" / "libstagger-agent.so");
  found.cuda_agent_ = FromEnvironment("STAGGER_CUDA_AGENT", root / "lib" / "libstagger-cuda.so");
  found.virtual_driver_ = (root / "lib" / "vgpu").string();
  found.null_driver_ = (root / "lib" / "null").string();
  found.examples_ = (root / "examples").string();
  return found;
}

Result<std::string> Installation::Daemon() const {
  return Existing(daemon_, "the daemon", "build it, or set STAGGERD to its path");
}

Result<std::string> Installation::Agent() const { return Preloadable(agent_, "STAGGER_AGENT"); }

Result<std::string> Installation::Agents() const {
  return FindDriver().loads ? CudaAgents() : Agent();
}

Result<std::string> Installation::CudaAgents() const {
  Result<std::string> agent = Agent();
  if (!agent) return agent;
  Result<std::string> cuda = Preloadable(cuda_agent_, "STAGGER_CUDA_AGENT");
  if (!cuda) return cuda;
  return *agent + ":" + *cuda;
}

std::string Installation::DriverTrouble() { return FindDriver().trouble; }

Result<std::string> Installation::Program(const std::string& name) const {
  return Existing(programs_ + "/" + name, name,
                  name == "stagger-relay"
                      ? "it needs GStreamer: ./dev setup && ./dev build, on a machine with "
                        "Debian's packages (docs/relay.md lists them)"
                      : "build it first: ./dev build");
}

Result<std::string> Installation::CameraDetector() const {
  return Existing(examples_ + "/camera-detector", "the example app", "build the examples first");
}

Result<std::string> Installation::CudaCamera() const {
  return Existing(examples_ + "/cuda-camera", "the example app", "build the examples first");
}

Result<std::string> Installation::NullDriver() const {
  for (const char* part : {"/libcuda.so.1", "/call-probe"}) {
    const Result<std::string> file =
        Existing(null_driver_ + part, "the driver that does nothing", "build it first");
    if (!file) return file.error();
  }
  return null_driver_;
}

Result<std::string> Installation::VirtualDriver() const {
  const Result<std::string> library =
      Existing(virtual_driver_ + "/libcuda.so.1", "the virtual GPU's driver", "build it first");
  if (!library) return library.error();
  return virtual_driver_;
}

std::string FindInPath(const std::string& name) {
  const auto runnable = [](const std::string& path) {
    return access(path.c_str(), X_OK) == 0 && !fs::is_directory(path);
  };
  if (name.empty()) return "";
  if (name.find('/') != std::string::npos) return runnable(name) ? name : "";
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/bin:/usr/bin";
  while (true) {
    const std::size_t colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    std::string candidate =
        folder.empty() ? name : std::string(folder) + "/" + name;  // empty means the current folder
    if (runnable(candidate)) return candidate;
    if (colon == std::string_view::npos) return "";
    rest.remove_prefix(colon + 1);
  }
}

}  // namespace stagger::cli
