// Making a session cooperative as it is created: its threads don't spin while they have nothing to
// do, and run where the daemon says. What the app chose itself stays as it chose.
#pragma once

#include <onnxruntime_c_api.h>

#include <memory>

#include "agent/sessions.h"

namespace stagger::agent {

// Options to create the session with in place of the app's; owned. Null options: create as asked.
struct Cooperation {
  OrtSessionOptions* options = nullptr;
  std::shared_ptr<Session> record;
};

Cooperation Prepare(const OrtApi& api, unsigned version, const OrtSessionOptions* options);
void Finish(const OrtApi& api, const Cooperation& cooperation, OrtSession* session);

// Runs create(options) with cooperative options; if that fails, with the app's own, so that any
// error the app sees is one it would have seen without us.
template <typename Create>
OrtStatus* CreateCooperative(const OrtApi& api, unsigned version, const OrtSessionOptions* options,
                             OrtSession** out, const Create& create) {
  Cooperation cooperation = Prepare(api, version, options);
  OrtStatus* status = create(cooperation.options != nullptr ? cooperation.options : options);
  if (status != nullptr && cooperation.options != nullptr) {
    api.ReleaseStatus(status);
    cooperation.record->pool = nullptr;
    status = create(options);
  }
  Finish(api, cooperation, status == nullptr ? *out : nullptr);
  return status;
}

}  // namespace stagger::agent
