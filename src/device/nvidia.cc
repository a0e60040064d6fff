#include "device/nvidia.h"

#include <dlfcn.h>

#include <algorithm>
#include <utility>

#include "cuda/nvml_types.h"

namespace stagger::device {
namespace {

constexpr const char* kLibrary = "libnvidia-ml.so.1";

constexpr std::uint64_t kNotAvailable = ~std::uint64_t{0};
constexpr unsigned kTextSize = 96;  // NVML's longest name and UUID
constexpr unsigned kMaxProcesses = 1024;

}  // namespace

struct Nvidia::Library {
  void* handle = nullptr;
  bool initialised = false;

  nvmlReturn_t (*init)() = nullptr;
  nvmlReturn_t (*shutdown)() = nullptr;
  nvmlReturn_t (*count)(unsigned*) = nullptr;
  nvmlReturn_t (*by_index)(unsigned, nvmlDevice_t*) = nullptr;
  nvmlReturn_t (*name)(nvmlDevice_t, char*, unsigned) = nullptr;
  nvmlReturn_t (*uuid)(nvmlDevice_t, char*, unsigned) = nullptr;
  nvmlReturn_t (*memory)(nvmlDevice_t, nvmlMemory_t*) = nullptr;
  // Not in every driver; null then.
  nvmlReturn_t (*utilisation)(nvmlDevice_t, nvmlUtilization_t*) = nullptr;
  nvmlReturn_t (*processes)(nvmlDevice_t, unsigned*, nvmlProcessInfo_v2_t*) = nullptr;
  nvmlReturn_t (*compute_mode)(nvmlDevice_t, int*) = nullptr;

  ~Library() {
    if (initialised) shutdown();
    if (handle != nullptr) dlclose(handle);
  }

  template <typename F>
  bool Find(const char* symbol, F* function) {
    *function = reinterpret_cast<F>(dlsym(handle, symbol));
    return *function != nullptr;
  }

  // Null, or the name that is missing.
  const char* FindAll() {
    const auto must = [this](const char* symbol, auto* function) {
      return Find(symbol, function) ? nullptr : symbol;
    };
    for (const char* missing :
         {must("nvmlInit_v2", &init), must("nvmlShutdown", &shutdown),
          must("nvmlDeviceGetCount_v2", &count), must("nvmlDeviceGetHandleByIndex_v2", &by_index),
          must("nvmlDeviceGetName", &name), must("nvmlDeviceGetUUID", &uuid),
          must("nvmlDeviceGetMemoryInfo", &memory)}) {
      if (missing != nullptr) return missing;
    }
    Find("nvmlDeviceGetUtilizationRates", &utilisation);
    Find("nvmlDeviceGetComputeMode", &compute_mode);
    // The third version has the second's layout.
    if (!Find("nvmlDeviceGetComputeRunningProcesses_v3", &processes)) {
      Find("nvmlDeviceGetComputeRunningProcesses_v2", &processes);
    }
    return nullptr;
  }

  nvmlDevice_t Gpu(unsigned index) const {
    nvmlDevice_t gpu = nullptr;
    return by_index(index, &gpu) == 0 ? gpu : nullptr;
  }

  std::optional<std::string> Text(nvmlReturn_t (*function)(nvmlDevice_t, char*, unsigned),
                                  nvmlDevice_t gpu) const {
    std::array<char, kTextSize + 1> text{};
    if (function(gpu, text.data(), kTextSize) != 0) return std::nullopt;
    return std::string(text.data());
  }

  std::optional<ComputeMode> ModeOf(nvmlDevice_t gpu) const {
    int mode = -1;
    if (compute_mode == nullptr || compute_mode(gpu, &mode) != 0) {
      return std::nullopt;
    }
    switch (mode) {
      case 0:
        return ComputeMode::kDefault;
      case 1:  // one thread at a time: older drivers' word for it
      case 3:
        return ComputeMode::kExclusiveProcess;
      case 2:
        return ComputeMode::kProhibited;
      default:
        return std::nullopt;
    }
  }

  std::optional<std::vector<GpuProcess>> ProcessesOn(nvmlDevice_t gpu) const {
    if (processes == nullptr) return std::nullopt;
    // More may have come between two calls: ask until what was given sufficed.
    std::vector<nvmlProcessInfo_v2_t> found(16);
    for (nvmlReturn_t result = NVML_ERROR_INSUFFICIENT_SIZE; result != 0;) {
      auto count = static_cast<unsigned>(found.size());
      result = processes(gpu, &count, found.data());
      if (result == 0) {
        found.resize(std::min<std::size_t>(count, found.size()));
      } else if (result == NVML_ERROR_INSUFFICIENT_SIZE && found.size() < kMaxProcesses) {
        found.resize(found.size() * 4);
      } else {
        return std::nullopt;
      }
    }
    std::vector<GpuProcess> told;
    for (const nvmlProcessInfo_v2_t& process : found) {
      told.push_back({static_cast<pid_t>(process.pid), std::nullopt});
      if (process.usedGpuMemory != kNotAvailable) told.back().memory_bytes = process.usedGpuMemory;
    }
    return told;
  }
};

std::optional<std::array<std::uint8_t, 16>> ParseGpuUuid(const std::string& text) {
  if (!text.starts_with("GPU-")) return std::nullopt;
  std::array<std::uint8_t, 16> uuid{};
  std::size_t digits = 0;
  for (const char c : text.substr(4)) {
    if (c == '-') continue;
    const int value = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (value < 0 || digits == 2 * uuid.size()) return std::nullopt;
    std::uint8_t& byte = uuid[digits++ / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | value);
  }
  if (digits != 2 * uuid.size()) return std::nullopt;
  return uuid;
}

std::string GpuUuidText(const std::array<std::uint8_t, 16>& uuid) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "GPU-";
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[uuid[i] >> 4];
    text += kDigits[uuid[i] & 0xf];
  }
  return text;
}

const char* ToString(ComputeMode mode) {
  switch (mode) {
    case ComputeMode::kDefault:
      return "default";
    case ComputeMode::kExclusiveProcess:
      return "exclusive_process";
    case ComputeMode::kProhibited:
      return "prohibited";
  }
  return "";
}

Nvidia::Nvidia(std::unique_ptr<Library> library) : library_(std::move(library)) {}
Nvidia::~Nvidia() = default;

Result<std::unique_ptr<Nvidia>> Nvidia::Open() {
  auto library = std::make_unique<Library>();
  library->handle = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library->handle == nullptr) {
    const char* why = dlerror();
    return Error{why != nullptr ? why : std::string(kLibrary) + " cannot be opened"};
  }
  if (const char* missing = library->FindAll()) {
    return Error{std::string(kLibrary) + " has no " + missing};
  }
  if (const nvmlReturn_t result = library->init(); result != 0) {
    return Error{std::string(kLibrary) + " does not start (NVML error " + std::to_string(result) +
                 ")"};
  }
  library->initialised = true;
  unsigned count = 0;
  if (const nvmlReturn_t result = library->count(&count); result != 0) {
    return Error{std::string(kLibrary) + " lists no GPUs (NVML error " + std::to_string(result) +
                 ")"};
  }
  std::unique_ptr<Nvidia> nvidia(new Nvidia(std::move(library)));
  for (unsigned number = 0; number < count; ++number) {
    const Library& nvml = *nvidia->library_;
    const nvmlDevice_t gpu = nvml.Gpu(number);
    if (gpu == nullptr) continue;
    const std::optional<std::string> uuid_text = nvml.Text(nvml.uuid, gpu);
    const auto uuid = uuid_text ? ParseGpuUuid(*uuid_text) : std::nullopt;
    nvmlMemory_t memory{};
    if (!uuid || nvml.memory(gpu, &memory) != 0) continue;
    nvidia->gpus_.push_back(
        {number, nvml.Text(nvml.name, gpu).value_or("GPU"), *uuid, memory.total});
  }
  if (nvidia->gpus_.empty()) return Error{std::string(kLibrary) + " knows no GPU"};
  return nvidia;
}

GpuUse Nvidia::UseOf(unsigned number) const {
  GpuUse use;
  const nvmlDevice_t gpu = library_->Gpu(number);
  if (gpu == nullptr) return use;
  nvmlMemory_t memory{};
  if (library_->memory(gpu, &memory) == 0) use.memory_bytes = memory.used;
  nvmlUtilization_t utilisation{};
  if (library_->utilisation != nullptr && library_->utilisation(gpu, &utilisation) == 0 &&
      utilisation.gpu <= 100) {
    use.utilisation = utilisation.gpu / 100.0;
  }
  use.processes = library_->ProcessesOn(gpu);
  use.compute_mode = library_->ModeOf(gpu);
  return use;
}

Presence Nvidia::PresenceOf(const Gpu& gpu) const {
  const auto otherwise = [](nvmlReturn_t result) {
    if (result == NVML_ERROR_GPU_IS_LOST) return Presence::kLost;
    const bool none = result == NVML_ERROR_INVALID_ARGUMENT || result == NVML_ERROR_NOT_FOUND;
    return none ? Presence::kMissing : Presence::kUnknown;
  };
  nvmlDevice_t handle = nullptr;
  if (const nvmlReturn_t found = library_->by_index(gpu.number, &handle); found != 0) {
    return otherwise(found);
  }
  std::array<char, kTextSize + 1> text{};
  if (const nvmlReturn_t told = library_->uuid(handle, text.data(), kTextSize); told != 0) {
    return otherwise(told);
  }
  return ParseGpuUuid(text.data()) == gpu.uuid ? Presence::kHere : Presence::kMissing;
}

}  // namespace stagger::device
