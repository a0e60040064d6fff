// The entries of ONNX Runtime's table that forwarding needs, on top of those that are hooked
// anyway. `Base` is the runtime's Hooks (onnxruntime.cc): Real(), Self() and its own Run. Installed
// only where executors are named.
#pragma once

#include <onnxruntime_c_api.h>

#include <array>
#include <cstring>
#include <string>

#include "agent/hooks/forward.h"
#include "agent/hooks/reuse.h"
#include "agent/state.h"

namespace stagger::agent {

// Options that make no difference to results, and those that an executor can be told of.
bool IsHarmlessConfig(const char* key);
bool IsForwardableConfig(const char* key);

template <typename Base>
struct ForwardHooks {
  // The oldest runtime whose table has all that is called here; one newer than our header may
  // have options we don't know, so its sessions are left alone.
  static bool Suits(unsigned version) { return version >= 17 && version <= ORT_API_VERSION; }

  static void Note(const void* options, const char* why) {
    State::Get().sessions.Update(options, [&](OptionFacts* facts) {
      if (facts->local_only.empty()) facts->local_only = why;
    });
  }
  static void Forward(const void* options, const std::string& key, const std::string& value) {
    State::Get().sessions.Update(options,
                                 [&](OptionFacts* facts) { facts->forwarded[key] = value; });
  }
  static std::shared_ptr<Forwarded> Find(const OrtSession* session) {
    return State::Get().sessions.Find(session, State::Get().options.warmup)->forwarded;
  }

  // ---- options that keep sessions, or runs, in the app

  template <auto kMember, const char* kWhy, typename Options, typename... Arguments>
  static auto ORT_API_CALL Stays(Options* options, Arguments... arguments) noexcept {
    Note(options, kWhy);
    return (Base::Real().*kMember)(options, arguments...);
  }
  static OrtStatus* ORT_API_CALL RunOptionsUnsetTerminate(OrtRunOptions* options) noexcept {
    State::Get().sessions.Update(options, [](OptionFacts* facts) {
      if (facts->local_only == kTerminated) facts->local_only.clear();
    });
    return Base::Real().RunOptionsUnsetTerminate(options);
  }
  static void ORT_API_CALL ReleaseRunOptions(OrtRunOptions* options) noexcept {
    State::Get().sessions.ForgetOptions(options);
    Base::Real().ReleaseRunOptions(options);
  }

  // ---- options that an executor is told of

  static OrtStatus* ORT_API_CALL AddSessionConfigEntry(OrtSessionOptions* options, const char* key,
                                                       const char* value) noexcept {
    OrtStatus* status = Base::Real().AddSessionConfigEntry(options, key, value);
    if (status != nullptr || IsHarmlessConfig(key)) return status;
    if (IsForwardableConfig(key) && std::strchr(value, '\n') == nullptr) {
      Forward(options, std::string("config:") + key, value);
    } else {
      Note(options, (std::string("session option ") + key).c_str());
    }
    return status;
  }
  static OrtStatus* ORT_API_CALL SetSessionGraphOptimizationLevel(
      OrtSessionOptions* options, GraphOptimizationLevel level) noexcept {
    Forward(options, "optimize", std::to_string(static_cast<int>(level)));
    return Base::Real().SetSessionGraphOptimizationLevel(options, level);
  }
  static OrtStatus* ORT_API_CALL SetDeterministicCompute(OrtSessionOptions* options,
                                                         bool value) noexcept {
    Forward(options, "deterministic", value ? "1" : "0");
    return Base::Real().SetDeterministicCompute(options, value);
  }
  static OrtStatus* ORT_API_CALL AddFreeDimensionOverride(OrtSessionOptions* options,
                                                          const char* name,
                                                          std::int64_t value) noexcept {
    ForwardDimension(options, "free_denotation:", name, value);
    return Base::Real().AddFreeDimensionOverride(options, name, value);
  }
  static OrtStatus* ORT_API_CALL AddFreeDimensionOverrideByName(OrtSessionOptions* options,
                                                                const char* name,
                                                                std::int64_t value) noexcept {
    ForwardDimension(options, "free_dim:", name, value);
    return Base::Real().AddFreeDimensionOverrideByName(options, name, value);
  }
  static void ForwardDimension(const void* options, const char* kind, const char* name,
                               std::int64_t value) {
    if (std::strpbrk(name, "=\n") != nullptr) return Note(options, "an odd dimension's name");
    Forward(options, std::string(kind) + name, std::to_string(value));
  }

  // ---- sessions

  static RuntimeRef Runtime() { return {&Base::Real(), Base::Self().version, Base::Self().entry}; }
  static OrtStatus* ORT_API_CALL CreateSession(const OrtEnv* env, const ORTCHAR_T* path,
                                               const OrtSessionOptions* options,
                                               OrtSession** out) noexcept {
    std::shared_ptr<Forwarded> later;
    if (path != nullptr &&
        CreateForwarded(Runtime(), env, {.path = path, .bytes = {}}, options, out, &later)) {
      return nullptr;
    }
    OrtStatus* status = Base::CreateSession(env, path, options, out);
    if (status == nullptr && later) MakeForwardable(std::move(later), *out);
    return status;
  }
  static OrtStatus* ORT_API_CALL CreateSessionFromArray(const OrtEnv* env, const void* data,
                                                        std::size_t size,
                                                        const OrtSessionOptions* options,
                                                        OrtSession** out) noexcept {
    const std::span<const std::byte> bytes(static_cast<const std::byte*>(data), size);
    std::shared_ptr<Forwarded> never;
    if (data != nullptr &&
        CreateForwarded(Runtime(), env, {.path = nullptr, .bytes = bytes}, options, out, &never)) {
      return nullptr;
    }
    return Base::CreateSessionFromArray(env, data, size, options, out);
  }

  // ---- inference

  static OrtStatus* ORT_API_CALL Run(OrtSession* session, const OrtRunOptions* options,
                                     const char* const* input_names, const OrtValue* const* inputs,
                                     std::size_t input_count, const char* const* output_names,
                                     std::size_t output_count, OrtValue** outputs) noexcept {
    if (const std::shared_ptr<Forwarded> forwarded = Find(session)) {
      const Call call{options,      input_names,  inputs,  input_count,
                      output_names, output_count, outputs, forwarded->allocator};
      ReuseCall reuse(Base::Real(), Base::Self().version, session, call);
      if (reuse.answered()) return nullptr;
      PaceCall(session);
      return reuse.Ran(RunForwarded(*forwarded, call));
    }
    return Base::Run(session, options, input_names, inputs, input_count, output_names, output_count,
                     outputs);
  }

  // What executors don't do runs on the real session, loaded for it. `counts`: it is a call.
  static OrtSession* Here(OrtSession* session, const char* why, OrtStatus** status,
                          bool counts = true) {
    const std::shared_ptr<Forwarded> forwarded = Find(session);
    if (!forwarded) return session;
    if (counts) SayStays(Staying::kCall, why);
    return forwarded->Local(status);
  }
  static OrtStatus* ORT_API_CALL CreateIoBinding(OrtSession* session, OrtIoBinding** out) noexcept {
    OrtStatus* status = nullptr;
    OrtSession* here = Here(session, "the app binds tensors itself", &status, false);
    return here != nullptr ? Base::Real().CreateIoBinding(here, out) : status;
  }
  static OrtStatus* ORT_API_CALL RunWithBinding(OrtSession* session, const OrtRunOptions* options,
                                                const OrtIoBinding* binding) noexcept {
    OrtStatus* status = nullptr;
    OrtSession* here = Here(session, "the app binds tensors itself", &status);
    return here != nullptr ? Base::RunWithBinding(here, options, binding) : status;
  }
  static OrtStatus* ORT_API_CALL RunAsync(OrtSession* session, const OrtRunOptions* options,
                                          const char* const* input_names,
                                          const OrtValue* const* inputs, std::size_t input_count,
                                          const char* const* output_names, std::size_t output_count,
                                          OrtValue** outputs, RunAsyncCallbackFn callback,
                                          void* user_data) noexcept {
    OrtStatus* status = nullptr;
    OrtSession* here = Here(session, "the app calls asynchronously", &status);
    if (here == nullptr) return status;
    return Base::RunAsync(here, options, input_names, inputs, input_count, output_names,
                          output_count, outputs, callback, user_data);
  }

  static constexpr char kProfiling[] = "the session is profiled";
  static constexpr char kWritesModel[] = "the session writes its optimised model";
  static constexpr char kCustomOps[] = "the session has custom operators";
  static constexpr char kWeights[] = "the app brings weights of its own";
  static constexpr char kProvider[] = "the session names an execution provider";
  static constexpr char kCancel[] = "the session's loading can be cancelled";
  static constexpr char kLogger[] = "the session has a logger of its own";
  static constexpr char kRunOption[] = "a run option that executors don't know";
  static constexpr char kTerminated[] = "the run is to be terminated";

  static void Install(OrtApi* api, unsigned version) {
    api->CreateSession = &CreateSession;
    api->CreateSessionFromArray = &CreateSessionFromArray;
    api->Run = &Run;
    api->CreateIoBinding = &CreateIoBinding;
    api->RunWithBinding = &RunWithBinding;
    api->RunAsync = &RunAsync;
    api->AddSessionConfigEntry = &AddSessionConfigEntry;
    api->SetSessionGraphOptimizationLevel = &SetSessionGraphOptimizationLevel;
    api->SetDeterministicCompute = &SetDeterministicCompute;
    api->AddFreeDimensionOverride = &AddFreeDimensionOverride;
    api->AddFreeDimensionOverrideByName = &AddFreeDimensionOverrideByName;
    api->ReleaseRunOptions = &ReleaseRunOptions;
    api->RunOptionsUnsetTerminate = &RunOptionsUnsetTerminate;
#define STAGGER_STAYS(entry, why) api->entry = &Stays<&OrtApi::entry, why>
    STAGGER_STAYS(EnableProfiling, kProfiling);
    STAGGER_STAYS(SetOptimizedModelFilePath, kWritesModel);
    STAGGER_STAYS(AddCustomOpDomain, kCustomOps);
    STAGGER_STAYS(RegisterCustomOpsLibrary, kCustomOps);
    STAGGER_STAYS(RegisterCustomOpsLibrary_V2, kCustomOps);
    STAGGER_STAYS(RegisterCustomOpsUsingFunction, kCustomOps);
    STAGGER_STAYS(EnableOrtCustomOps, kCustomOps);
    STAGGER_STAYS(AddInitializer, kWeights);
    STAGGER_STAYS(AddExternalInitializers, kWeights);
    STAGGER_STAYS(SetUserLoggingFunction, kLogger);
    STAGGER_STAYS(SessionOptionsAppendExecutionProvider, kProvider);
    STAGGER_STAYS(SessionOptionsAppendExecutionProvider_OpenVINO, kProvider);
    STAGGER_STAYS(SessionOptionsAppendExecutionProvider_OpenVINO_V2, kProvider);
    STAGGER_STAYS(SessionOptionsAppendExecutionProvider_MIGraphX, kProvider);
    STAGGER_STAYS(SessionOptionsAppendExecutionProvider_CANN, kProvider);
    STAGGER_STAYS(SessionOptionsAppendExecutionProvider_Dnnl, kProvider);
    STAGGER_STAYS(RunOptionsSetTerminate, kTerminated);
    STAGGER_STAYS(AddRunConfigEntry, kRunOption);
    if (version >= 18) {
      STAGGER_STAYS(AddExternalInitializersFromFilesInMemory, kWeights);
      STAGGER_STAYS(SessionOptionsAppendExecutionProvider_VitisAI, kProvider);
    }
    if (version >= 20) STAGGER_STAYS(RunOptionsAddActiveLoraAdapter, kRunOption);
    if (version >= 22) {
      STAGGER_STAYS(SessionOptionsSetLoadCancellationFlag, kCancel);
      STAGGER_STAYS(SessionOptionsAppendExecutionProvider_V2, kProvider);
      STAGGER_STAYS(SessionOptionsSetEpSelectionPolicy, kProvider);
      STAGGER_STAYS(SessionOptionsSetEpSelectionPolicyDelegate, kProvider);
    }
    if (version >= 25) {
      STAGGER_STAYS(RunOptionsEnableProfiling, kRunOption);
      STAGGER_STAYS(RunOptionsSetSyncStream, kRunOption);
    }
    if (version >= 29) STAGGER_STAYS(SessionOptionsSetWeightlessSourceModelBuffer, kWeights);
#undef STAGGER_STAYS
  }
};

}  // namespace stagger::agent
