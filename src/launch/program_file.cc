#include "launch/program_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>

#include "base/fd.h"

namespace stagger::cli {
namespace {

constexpr off_t kLeastInside = 1024 * 1024;
constexpr off_t kMostInside = off_t{2} * 1024 * 1024 * 1024;

struct Marker {
  const char* text;  // the name of a class, as type information has it
  const char* runtime;
};
constexpr Marker kMarkers[] = {{"N11onnxruntime16InferenceSessionE", "ONNX Runtime"},
                               {"N6tflite11InterpreterE", "TensorFlow Lite"},
                               {"N6tflite4impl11InterpreterE", "TensorFlow Lite"}};

}  // namespace

std::vector<std::string> RuntimesInside(const std::string& path) {
  std::vector<std::string> found;
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return found;
  if (info.st_size < kLeastInside || info.st_size > kMostInside) return found;
  const auto size = static_cast<std::size_t>(info.st_size);
  void* bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (bytes == MAP_FAILED) return found;
  for (const Marker& marker : kMarkers) {
    if (memmem(bytes, size, marker.text, std::strlen(marker.text)) == nullptr) continue;
    if (found.empty() || found.back() != marker.runtime) found.emplace_back(marker.runtime);
  }
  munmap(bytes, size);
  return found;
}

}  // namespace stagger::cli
