#include "executor/ort_backend.h"

#include "base/try.h"
#include "executor/ort_model.h"

namespace stagger::executor {

Result<std::string> OrtBackend::Open(const RuntimeFile& runtime) {
  Runtime* const opened = STAGGER_TRY(runtimes_.Get(runtime));
  return opened->version();
}

Result<std::unique_ptr<Model>> OrtBackend::Load(const RuntimeFile& runtime,
                                                const ModelSource& source) {
  Runtime* const opened = STAGGER_TRY(runtimes_.Get(runtime));
  return OrtModel::Load(*opened, source, target_);
}

}  // namespace stagger::executor
