#include "executor/backend.h"

#include "executor/ort_backend.h"

namespace stagger::executor {

std::vector<std::unique_ptr<Backend>> MakeBackends(const Target& target) {
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(std::make_unique<OrtBackend>(target));
  return backends;
}

}  // namespace stagger::executor
