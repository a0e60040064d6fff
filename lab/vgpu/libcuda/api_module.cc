// Modules, libraries, functions. A library's kernels are functions, so either handle launches.
#include <cstring>
#include <fstream>
#include <iterator>

#include "lab/vgpu/libcuda/api.h"
#include "lab/vgpu/libcuda/driver.h"

namespace stagger::vgpu::api {
namespace {

Result<std::string> ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{path};
  return std::string(std::istreambuf_iterator<char>(file), {});
}

CUfunction AddFunction(CUmodule module, const Kernel& kernel) {
  auto function = std::make_unique<CUfunc_st>();
  function->kernel = kernel;
  function->module = module;
  function->library = module->library;
  CUfunction added = function.get();
  module->functions[kernel.name] = std::move(function);
  return added;
}

// Fills an empty module from an image. Text ends with NUL, as PTX does.
CUresult Fill(CUmodule module, const char* image) {
  if (!IsImageText(image)) return CUDA_SUCCESS;
  const Result<std::vector<Kernel>> kernels = ParseImage(image);
  if (!kernels) {
    Complain(kernels.error().message);
    return CUDA_ERROR_INVALID_IMAGE;
  }
  module->ours = true;
  for (const Kernel& kernel : *kernels) AddFunction(module, kernel);
  return CUDA_SUCCESS;
}

CUresult LoadModule(CUmodule* module, const void* image) {
  if (module == nullptr || image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUcontext context = Current();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  auto loaded = std::make_unique<CUmod_st>();
  loaded->context = context;
  STAGGER_CUDA_TRY(Fill(loaded.get(), static_cast<const char*>(image)));
  *module = loaded.release();
  context->modules.insert(*module);
  return CUDA_SUCCESS;
}

CUresult LoadLibrary(CUlibrary* library, const void* image) {
  if (library == nullptr || image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  auto loaded = std::make_unique<CUlib_st>();
  loaded->module.library = loaded.get();
  const CUresult filled = Fill(&loaded->module, static_cast<const char*>(image));
  if (filled == CUDA_SUCCESS) *library = loaded.release();
  return filled;
}

// A module of an unknown image has every kernel it is asked for.
CUresult FindFunction(CUmodule module, const char* name, CUfunction* function) {
  if (function == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const auto found = module->functions.find(name);
  if (found == module->functions.end() && module->ours) return CUDA_ERROR_NOT_FOUND;
  Kernel any;
  any.name = name;
  *function = found != module->functions.end() ? found->second.get() : AddFunction(module, any);
  return CUDA_SUCCESS;
}

// The module that a handle means, a library's own one too; null where it is dead.
CUmodule Live(CUmodule module) { return Alive(module, Kind::kModule) ? module : nullptr; }
CUmodule Live(CUlibrary library) {
  return Alive(library, Kind::kLibrary) ? &library->module : nullptr;
}

void Unload(CUmodule module) {
  for (auto& [name, function] : module->functions) function->kind = Kind::kDead;
  module->kind = Kind::kDead;
}

CUresult Count(unsigned* count, CUmodule module) {
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *count = static_cast<unsigned>(module->functions.size());
  return CUDA_SUCCESS;
}

CUresult Enumerate(CUfunction* functions, unsigned count, CUmodule module) {
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (functions == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (const auto& [name, function] : module->functions) {
    if (count-- == 0) break;
    *functions++ = function.get();
  }
  return CUDA_SUCCESS;
}

CUfunction FunctionOf(CUkernel kernel) { return reinterpret_cast<CUfunction>(kernel); }

CUresult CheckFunction(const void* out, CUfunction function) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Alive(function, Kind::kFunction) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

constexpr CUfunction_attribute kMaxThreadsPerBlock = 0;

}  // namespace

CUresult cuModuleLoad(CUmodule* module, const char* path) {
  if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Result<std::string> image = ReadFile(path);
  return image ? LoadModule(module, image->c_str()) : CUDA_ERROR_FILE_NOT_FOUND;
}
CUresult cuModuleLoadData(CUmodule* module, const void* image) { return LoadModule(module, image); }
CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned int, CUjit_option*,
                            void**) {
  return LoadModule(module, image);
}
CUresult cuModuleLoadFatBinary(CUmodule* module, const void* image) {
  return LoadModule(module, image);
}

CUresult cuModuleUnload(CUmodule module) {
  if (!Alive(module, Kind::kModule)) return CUDA_ERROR_INVALID_HANDLE;
  if (module->context != nullptr) module->context->modules.erase(module);
  Unload(module);
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  return FindFunction(Live(module), name, function);
}

// Images here have kernels and nothing else.
CUresult cuModuleGetGlobal_v2(CUdeviceptr*, size_t*, CUmodule module, const char*) {
  return Live(module) != nullptr ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_HANDLE;
}
CUresult cuModuleGetFunctionCount(unsigned int* count, CUmodule module) {
  return Count(count, Live(module));
}
CUresult cuModuleEnumerateFunctions(CUfunction* functions, unsigned int count, CUmodule module) {
  return Enumerate(functions, count, Live(module));
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode* mode) {
  if (mode == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *mode = 1;  // eager
  return CUDA_SUCCESS;
}

CUresult cuLibraryLoadData(CUlibrary* library, const void* image, CUjit_option*, void**,
                           unsigned int, CUlibraryOption*, void**, unsigned int) {
  return LoadLibrary(library, image);
}
CUresult cuLibraryLoadFromFile(CUlibrary* library, const char* path, CUjit_option*, void**,
                               unsigned int, CUlibraryOption*, void**, unsigned int) {
  if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Result<std::string> image = ReadFile(path);
  return image ? LoadLibrary(library, image->c_str()) : CUDA_ERROR_FILE_NOT_FOUND;
}

CUresult cuLibraryUnload(CUlibrary library) {
  if (!Alive(library, Kind::kLibrary)) return CUDA_ERROR_INVALID_HANDLE;
  Unload(&library->module);
  library->kind = Kind::kDead;
  return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernel(CUkernel* kernel, CUlibrary library, const char* name) {
  return FindFunction(Live(library), name, reinterpret_cast<CUfunction*>(kernel));
}
CUresult cuLibraryGetKernelCount(unsigned int* count, CUlibrary library) {
  return Count(count, Live(library));
}
CUresult cuLibraryEnumerateKernels(CUkernel* kernels, unsigned int count, CUlibrary library) {
  return Enumerate(reinterpret_cast<CUfunction*>(kernels), count, Live(library));
}
CUresult cuLibraryGetModule(CUmodule* module, CUlibrary library) {
  if (module == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (Live(library) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *module = Live(library);
  return CUDA_SUCCESS;
}
CUresult cuLibraryGetGlobal(CUdeviceptr*, size_t*, CUlibrary library, const char*) {
  return Live(library) != nullptr ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuKernelGetFunction(CUfunction* function, CUkernel kernel) {
  const CUresult checked = CheckFunction(function, FunctionOf(kernel));
  if (checked == CUDA_SUCCESS) *function = FunctionOf(kernel);
  return checked;
}

CUresult cuKernelGetLibrary(CUlibrary* library, CUkernel kernel) {
  const CUresult checked = CheckFunction(library, FunctionOf(kernel));
  if (checked == CUDA_SUCCESS) *library = FunctionOf(kernel)->library;
  return checked;
}

CUresult cuKernelGetName(const char** name, CUkernel kernel) {
  return cuFuncGetName(name, FunctionOf(kernel));
}
CUresult cuKernelGetAttribute(int* value, CUfunction_attribute attribute, CUkernel kernel,
                              CUdevice) {
  return cuFuncGetAttribute(value, attribute, FunctionOf(kernel));
}
CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel,
                              CUdevice) {
  return cuFuncSetAttribute(FunctionOf(kernel), attribute, value);
}
CUresult cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t* offset, size_t* size) {
  return cuFuncGetParamInfo(FunctionOf(kernel), index, offset, size);
}

CUresult cuFuncGetName(const char** name, CUfunction function) {
  const CUresult checked = CheckFunction(name, function);
  if (checked == CUDA_SUCCESS) *name = function->kernel.name.c_str();
  return checked;
}

CUresult cuFuncGetModule(CUmodule* module, CUfunction function) {
  const CUresult checked = CheckFunction(module, function);
  if (checked == CUDA_SUCCESS) *module = function->module;
  return checked;
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function) {
  STAGGER_CUDA_TRY(CheckFunction(value, function));
  const auto set = function->attributes.find(attribute);
  *value = set != function->attributes.end()  ? set->second
           : attribute == kMaxThreadsPerBlock ? 1024
                                              : 0;
  return CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  const CUresult checked = CheckFunction(&value, function);
  if (checked == CUDA_SUCCESS) function->attributes[attribute] = value;
  return checked;
}
CUresult cuFuncSetCacheConfig(CUfunction function, CUfunc_cache config) {
  return CheckFunction(&config, function);
}
CUresult cuFuncGetParamInfo(CUfunction function, size_t index, size_t* offset, size_t* size) {
  STAGGER_CUDA_TRY(CheckFunction(offset, function));
  if (index >= function->kernel.params.size()) return CUDA_ERROR_INVALID_VALUE;
  *offset = function->kernel.OffsetOf(index);
  if (size != nullptr) *size = function->kernel.params[index];
  return CUDA_SUCCESS;
}
CUresult cuFuncLoad(CUfunction function) { return CheckFunction(&function, function); }

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function,
                                                     int block_size, size_t) {
  if (block_size <= 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult checked = CheckFunction(blocks, function);
  if (checked == CUDA_SUCCESS) *blocks = 1024 / block_size;
  return checked;
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function,
                                                              int block_size, size_t shared,
                                                              unsigned int) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, block_size, shared);
}
CUresult cuOccupancyMaxPotentialBlockSize(int* grid_size, int* block_size, CUfunction function,
                                          CUoccupancyB2DSize, size_t, int limit) {
  if (grid_size == nullptr) return CUDA_ERROR_INVALID_VALUE;
  STAGGER_CUDA_TRY(CheckFunction(block_size, function));
  *block_size = limit > 0 && limit < 1024 ? limit : 1024;
  *grid_size = 40;
  return CUDA_SUCCESS;
}

}  // namespace stagger::vgpu::api
