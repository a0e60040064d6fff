// Calls beyond the stream's rate: where they wait (`pace`), and where they are answered with the
// outputs of the call before (`reuse`). Both come before a call's turn, so they hold whether it
// computes in this process or in an executor.
//
// Reuse is for a session that serves one stream: one thread calls it, one call at a time, always
// with inputs of the same shapes and for the same outputs. For any other session it is refused for
// good, in one line, and all its calls go through. What a call gets is a copy of its own, in new
// tensors or in those that the app brought. Nothing here exits, throws or prints per call.
#pragma once

#include <onnxruntime_c_api.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/forward/call.h"
#include "agent/sessions.h"

namespace stagger::agent {

// Before a call of a session that asks for its turn itself.
void PaceCall(const OrtSession* session);
// Before a body on a GPU.
void PaceDevice(DeviceId device);

// What the last call that ran was asked for, and what it gave.
struct Previous {
  pid_t caller = 0;  // the one thread
  std::string asked;
  bool kept = false;
  wire::Layout layout;
  std::vector<std::byte> bytes;
};

// For calls that cannot be answered so: `why` in a few words.
void RefuseReuse(const OrtSession* session, const char* why);

// One Run call of the app's. Made and destroyed by the thread that calls.
class ReuseCall {
 public:
  // `version`: of the runtime. `call.allocator` may be null.
  ReuseCall(const OrtApi& api, unsigned version, const OrtSession* session, const Call& call);
  ~ReuseCall();
  ReuseCall(const ReuseCall&) = delete;
  ReuseCall& operator=(const ReuseCall&) = delete;

  // The outputs are there: nothing is to run.
  bool answered() const { return answered_; }
  // The call has run: its outputs serve those that follow. Returns `status`.
  OrtStatus* Ran(OrtStatus* status);

 private:
  const char* Begin(unsigned version);  // why reuse is to be refused, or null
  const char* Keep();
  void Refuse(const char* why);

  const OrtApi& api_;
  const OrtSession* key_;  // as the app knows it
  Call call_;
  std::shared_ptr<Session> session_;  // null: not under `reuse`, or refused
  bool alone_ = false;                // it holds the session's `in_call`
  bool keeps_ = false;
  bool answered_ = false;
};

}  // namespace stagger::agent
