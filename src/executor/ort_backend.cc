#include "executor/ort_backend.h"

#include "executor/ort_model.h"

namespace stagger::executor {

Result<std::string> OrtBackend::Open(const RuntimeFile& runtime) {
  const Result<Runtime*> opened = runtimes_.Get(runtime);
  if (!opened) return opened.error();
  return (*opened)->version();
}

Result<std::unique_ptr<Model>> OrtBackend::Load(const RuntimeFile& runtime,
                                                const ModelSource& source) {
  const Result<Runtime*> opened = runtimes_.Get(runtime);
  if (!opened) return opened.error();
  return OrtModel::Load(**opened, source, target_);
}

}  // namespace stagger::executor
