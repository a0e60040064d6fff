// Forwarding: a session whose inferences run in executors. What the app holds is a session of a
// stub model, made by its own runtime, that answers every question about the real one; the real one
// is loaded here only when something must run here.
//
// Known to stay in the app: custom operators, bindings, asynchronous calls, profiling,
// accelerators, strings and sequences, options that an executor would not know what to make of.
// Nothing here exits, throws or prints per call.
#pragma once

#include <onnxruntime_c_api.h>

#include <atomic>
#include <memory>
#include <span>
#include <string>

#include "agent/forward/call.h"
#include "agent/forward/remote.h"
#include "agent/hooks/pipeline.h"
#include "agent/report.h"
#include "agent/sessions.h"
#include "agent/sync.h"

namespace stagger::agent {

// The runtime that a session belongs to.
struct RuntimeRef {
  const OrtApi* api;
  unsigned version;
  const void* entry;  // in the library, to tell which file it is
};

struct Forwarded {
  Forwarded(const RuntimeRef& of, const OrtEnv* its_env, OrtSessionOptions* its_options,
            std::shared_ptr<Remote> its_remote)
      : runtime(of),
        env(its_env),
        options(its_options),
        shared_remote(std::move(its_remote)),
        remote(*shared_remote) {}
  ~Forwarded();
  Forwarded(const Forwarded&) = delete;
  Forwarded& operator=(const Forwarded&) = delete;

  // The real session, loaded if it is not there yet; null with `status` set if it cannot be.
  OrtSession* Local(OrtStatus** status);
  // It is the app's own session: loaded from the start, and not ours to release.
  void SetLocal(OrtSession* session) {
    local_.store(session);
    own_local_ = false;
    remote.HasStandIn();
  }

  RuntimeRef runtime;
  const OrtEnv* env;
  OrtSessionOptions* options;             // the app's, cloned
  std::shared_ptr<Remote> shared_remote;  // with the route, which moves it
  Remote& remote;
  Ports ports;
  OrtAllocator* allocator = nullptr;  // for outputs
  Pipeline pipeline;

 private:
  Mutex local_mutex_;
  std::atomic<OrtSession*> local_{nullptr};
  bool own_local_ = true;
  std::shared_ptr<const Mapping> local_model_ GUARDED_BY(local_mutex_);  // what it was made of
};

// A model as the app gives it: a file's path, or bytes.
struct ModelSource {
  const char* path = nullptr;
  std::span<const std::byte> bytes;
};

// Makes a forwarded session. False: it cannot be forwarded, and one line has said why; make it
// here. Where it can be once there are executors, `later` is for MakeForwardable.
bool CreateForwarded(const RuntimeRef& runtime, const OrtEnv* env, const ModelSource& source,
                     const OrtSessionOptions* options, OrtSession** out,
                     std::shared_ptr<Forwarded>* later);

// Has the app's own session, just made of that model, forwarded as soon as executors are assigned.
void MakeForwardable(std::shared_ptr<Forwarded> forwarded, OrtSession* session);

// Runs a call on a forwarded session.
OrtStatus* RunForwarded(Forwarded& forwarded, const Call& call);

inline constexpr const char* kNobodyLeft = "no executor was left to run it";

// Something stays in the app: said once, and counted for `stagger doctor`.
void SayStays(Staying what, const std::string& why);

// Runs it in this process, under its turn.
OrtStatus* RunHere(Forwarded& forwarded, const Call& call);

// For outputs that the app did not bring; null if the runtime has none.
OrtAllocator* OutputAllocator(const OrtApi& api, const OrtSession* session);

// How long the app can wait for a result; 0: not stated.
Duration DueTime();

}  // namespace stagger::agent
