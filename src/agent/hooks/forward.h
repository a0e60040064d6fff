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
            const std::vector<std::string>& sockets, wire::Open open)
      : runtime(of), env(its_env), options(its_options), remote(sockets, std::move(open)) {}
  ~Forwarded();
  Forwarded(const Forwarded&) = delete;
  Forwarded& operator=(const Forwarded&) = delete;

  // The real session, loaded if it is not there yet; null with `status` set if it cannot be.
  OrtSession* Local(OrtStatus** status);

  RuntimeRef runtime;
  const OrtEnv* env;
  OrtSessionOptions* options;  // the app's, cloned
  Remote remote;
  Ports ports;
  OrtAllocator* allocator = nullptr;  // for outputs
  Pipeline pipeline;

 private:
  Mutex local_mutex_;
  std::atomic<OrtSession*> local_{nullptr};
};

// A model as the app gives it: a file's path, or bytes.
struct ModelSource {
  const char* path = nullptr;
  std::span<const std::byte> bytes;
};

// Makes a forwarded session. False: it cannot be forwarded, and one line has said why; make it
// here.
bool CreateForwarded(const RuntimeRef& runtime, const OrtEnv* env, const ModelSource& source,
                     const OrtSessionOptions* options, OrtSession** out);

// Runs a call on a forwarded session.
OrtStatus* RunForwarded(Forwarded& forwarded, const Call& call);

// Runs it in this process, under its turn.
OrtStatus* RunHere(Forwarded& forwarded, const Call& call);

// For outputs that the app did not bring; null if the runtime has none.
OrtAllocator* OutputAllocator(const OrtApi& api, const OrtSession* session);

// How long the app can wait for a result; 0: not stated.
Duration DueTime();

}  // namespace stagger::agent
