#include "agent/hooks/onnxruntime.h"

#include <onnxruntime_c_api.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <utility>

#include "agent/hooks/api_table.h"
#include "agent/hooks/body.h"
#include "agent/hooks/cooperate.h"
#include "agent/hooks/dynamic_linker.h"
#include "agent/hooks/forward_hooks.h"
#include "agent/hooks/reuse.h"
#include "agent/other_agents.h"
#include "agent/report.h"
#include "agent/say.h"
#include "agent/state.h"

// One process can hold several runtimes (an app's own and an addon's). A hooked function must know
// which one it stands for and gets no context argument, so each runtime has its own instance of
// every hook, numbered at compile time.

namespace stagger::agent {
namespace {

constexpr int kMaxRuntimes = 4;

struct Runtime {
  void* entry = nullptr;  // the real OrtGetApiBase
  const OrtApiBase* base = nullptr;
  const OrtApi* api = nullptr;   // the real table; the same for every version asked for
  OrtApi* hooked_api = nullptr;  // our copy
  unsigned version = 0;          // 29 for "1.29.0": which entries the table has
};

Mutex runtimes_mutex;
std::array<Runtime, kMaxRuntimes> runtimes;

// For RunAsync: what must happen when the runtime calls back.
struct AsyncBody {
  RunAsyncCallbackFn callback;
  void* user_data;
  Ticket ticket;
  TimePoint call_start;
  TimePoint begun;
};

void AsyncDone(void* argument, OrtValue** outputs, std::size_t count, OrtStatusPtr status) {
  auto* body = static_cast<AsyncBody*>(argument);
  LeaveWithCall(body->ticket, body->call_start, body->begun);
  const AsyncBody done = *body;
  free(body);
  done.callback(done.user_data, outputs, count, status);
}

template <int kIndex>
struct Hooks {
  static Runtime& Self() { return runtimes[kIndex]; }
  static const OrtApi& Real() { return *Self().api; }

  static const OrtApiBase* ORT_API_CALL GetApiBase() noexcept {
    static constexpr OrtApiBase kBase{&GetApi, &GetVersionString};
    return &kBase;
  }

  static const OrtApi* ORT_API_CALL GetApi(std::uint32_t version) noexcept {
    const OrtApi* real = Self().base->GetApi(version);
    if (real == nullptr) return nullptr;
    MutexLock lock(&runtimes_mutex);
    Runtime& self = Self();
    if (self.hooked_api == nullptr) {
      self.hooked_api = CopyTable(real);
      if (self.hooked_api == nullptr) return real;
      self.api = real;
      Install(self.hooked_api, self.version);
      if (State::Get().options.forwards) InstallForwarding(self.hooked_api, self.version);
    }
    // A runtime with several tables would be news; the app then gets the real one.
    return real == self.api ? self.hooked_api : real;
  }

  static const char* ORT_API_CALL GetVersionString() noexcept {
    return Self().base->GetVersionString();
  }

  // ---- sessions ------------------------------------------------------------------------------

  static OrtStatus* ORT_API_CALL CreateSession(const OrtEnv* env, const ORTCHAR_T* path,
                                               const OrtSessionOptions* options,
                                               OrtSession** out) noexcept {
    return CreateCooperative(Real(), Self().version, options, out, [&](const OrtSessionOptions* o) {
      return Real().CreateSession(env, path, o, out);
    });
  }
  static OrtStatus* ORT_API_CALL CreateSessionFromArray(const OrtEnv* env, const void* data,
                                                        std::size_t size,
                                                        const OrtSessionOptions* options,
                                                        OrtSession** out) noexcept {
    return CreateCooperative(Real(), Self().version, options, out, [&](const OrtSessionOptions* o) {
      return Real().CreateSessionFromArray(env, data, size, o, out);
    });
  }
  static OrtStatus* ORT_API_CALL CreateSessionWithPrepackedWeightsContainer(
      const OrtEnv* env, const ORTCHAR_T* path, const OrtSessionOptions* options,
      OrtPrepackedWeightsContainer* weights, OrtSession** out) noexcept {
    return CreateCooperative(Real(), Self().version, options, out, [&](const OrtSessionOptions* o) {
      return Real().CreateSessionWithPrepackedWeightsContainer(env, path, o, weights, out);
    });
  }
  static OrtStatus* ORT_API_CALL CreateSessionFromArrayWithPrepackedWeightsContainer(
      const OrtEnv* env, const void* data, std::size_t size, const OrtSessionOptions* options,
      OrtPrepackedWeightsContainer* weights, OrtSession** out) noexcept {
    return CreateCooperative(Real(), Self().version, options, out, [&](const OrtSessionOptions* o) {
      return Real().CreateSessionFromArrayWithPrepackedWeightsContainer(env, data, size, o, weights,
                                                                        out);
    });
  }
  static void ORT_API_CALL ReleaseSession(OrtSession* session) noexcept {
    // The record first: another session may get this address the moment it is free.
    const std::shared_ptr<Session> record = State::Get().sessions.Take(session);
    Real().ReleaseSession(session);
  }

  // ---- options the app chooses itself ----------------------------------------------------------

  static OrtStatus* ORT_API_CALL SetIntraOpNumThreads(OrtSessionOptions* options,
                                                      int threads) noexcept {
    if (threads > 0)
      State::Get().sessions.Update(options, [](OptionFacts* f) { f->threads = true; });
    return Real().SetIntraOpNumThreads(options, threads);
  }
  template <auto kMember, bool OptionFacts::*kFact, typename... Arguments>
  static OrtStatus* ORT_API_CALL Chosen(OrtSessionOptions* options,
                                        Arguments... arguments) noexcept {
    OrtStatus* status = (Real().*kMember)(options, arguments...);
    if (status == nullptr) {
      State::Get().sessions.Update(options, [](OptionFacts* f) { f->*kFact = true; });
    }
    return status;
  }
  static OrtStatus* ORT_API_CALL CloneSessionOptions(const OrtSessionOptions* from,
                                                     OrtSessionOptions** to) noexcept {
    OrtStatus* status = Real().CloneSessionOptions(from, to);
    if (status == nullptr) State::Get().sessions.CopyFacts(from, *to);
    return status;
  }
  static void ORT_API_CALL ReleaseSessionOptions(OrtSessionOptions* options) noexcept {
    State::Get().sessions.ForgetOptions(options);
    Real().ReleaseSessionOptions(options);
  }

  // ---- inference -------------------------------------------------------------------------------

  static OrtStatus* ORT_API_CALL Run(OrtSession* session, const OrtRunOptions* options,
                                     const char* const* input_names, const OrtValue* const* inputs,
                                     std::size_t input_count, const char* const* output_names,
                                     std::size_t output_count, OrtValue** outputs) noexcept {
    Count(&report::AgentPage::run);
    ReuseCall reuse(
        Real(), Self().version, session,
        {options, input_names, inputs, input_count, output_names, output_count, outputs});
    if (reuse.answered()) return nullptr;
    PaceCall(session);
    OrtStatus* status = nullptr;
    {
      const Body body(session);
      status = Real().Run(session, options, input_names, inputs, input_count, output_names,
                          output_count, outputs);
    }
    return reuse.Ran(status);
  }
  static OrtStatus* ORT_API_CALL RunWithBinding(OrtSession* session, const OrtRunOptions* options,
                                                const OrtIoBinding* binding) noexcept {
    Count(&report::AgentPage::run_with_binding);
    RefuseReuse(session, "the app binds tensors itself");
    PaceCall(session);
    const Body body(session);
    return Real().RunWithBinding(session, options, binding);
  }
  static OrtStatus* ORT_API_CALL RunAsync(OrtSession* session, const OrtRunOptions* options,
                                          const char* const* input_names,
                                          const OrtValue* const* inputs, std::size_t input_count,
                                          const char* const* output_names, std::size_t output_count,
                                          OrtValue** outputs, RunAsyncCallbackFn callback,
                                          void* user_data) noexcept {
    Count(&report::AgentPage::run_async);
    RefuseReuse(session, "the app calls asynchronously");
    auto* async = static_cast<AsyncBody*>(malloc(sizeof(AsyncBody)));
    if (async == nullptr || callback == nullptr) {
      free(async);
      return Real().RunAsync(session, options, input_names, inputs, input_count, output_names,
                             output_count, outputs, callback, user_data);
    }
    PaceCall(session);
    Body body(session);
    *async = {callback, user_data, {}, body.call_start(), body.begun()};
    async->ticket = body.HandOver();
    const Ticket ticket = async->ticket;
    const TimePoint call_start = async->call_start;
    OrtStatus* status = Real().RunAsync(session, options, input_names, inputs, input_count,
                                        output_names, output_count, outputs, &AsyncDone, async);
    if (status != nullptr) {  // refused: the callback will not come
      LeaveWithCall(ticket, call_start, {});
      free(async);
    }
    return status;
  }

  static void InstallForwarding(OrtApi* api, unsigned version) {
    if (ForwardHooks<Hooks>::Suits(version)) {
      ForwardHooks<Hooks>::Install(api, version);
    } else {
      SayStays(Staying::kRuntime,
               "ONNX Runtime 1." + std::to_string(version) + " is older or newer than is known");
    }
  }

  static void Install(OrtApi* api, unsigned version) {
    api->CreateSession = &CreateSession;
    api->CreateSessionFromArray = &CreateSessionFromArray;
    api->ReleaseSession = &ReleaseSession;
    api->SetIntraOpNumThreads = &SetIntraOpNumThreads;
    api->CloneSessionOptions = &CloneSessionOptions;
    api->ReleaseSessionOptions = &ReleaseSessionOptions;
    api->Run = &Run;
    // Entries are only ever appended; one that this runtime is too old for must stay untouched,
    // since what lies there is not the table.
#define STAGGER_CHOSEN(entry, fact) api->entry = &Chosen<&OrtApi::entry, &OptionFacts::fact>
    if (version >= 3) STAGGER_CHOSEN(DisablePerSessionThreads, shared_pool);
    // Sessions with an accelerator compute elsewhere; the CUDA agent gates those.
    if (version >= 4) {
      api->RunWithBinding = &RunWithBinding;
      STAGGER_CHOSEN(SessionOptionsAppendExecutionProvider_CUDA, accelerator);
      STAGGER_CHOSEN(SessionOptionsAppendExecutionProvider_ROCM, accelerator);
    }
    if (version >= 7) STAGGER_CHOSEN(SessionOptionsAppendExecutionProvider_TensorRT, accelerator);
    if (version >= 8) {
      api->CreateSessionWithPrepackedWeightsContainer = &CreateSessionWithPrepackedWeightsContainer;
      api->CreateSessionFromArrayWithPrepackedWeightsContainer =
          &CreateSessionFromArrayWithPrepackedWeightsContainer;
    }
    if (version >= 10) STAGGER_CHOSEN(SessionOptionsSetCustomCreateThreadFn, custom_threads);
    if (version >= 11) {
      STAGGER_CHOSEN(SessionOptionsAppendExecutionProvider_CUDA_V2, accelerator);
      STAGGER_CHOSEN(SessionOptionsAppendExecutionProvider_TensorRT_V2, accelerator);
    }
#undef STAGGER_CHOSEN
    if (version >= 16) api->RunAsync = &RunAsync;
  }
};

template <int... kIndices>
constexpr auto Entries(std::integer_sequence<int, kIndices...>) {
  return std::array{&Hooks<kIndices>::GetApiBase...};
}
constexpr auto kEntries = Entries(std::make_integer_sequence<int, kMaxRuntimes>{});

// "1.29.0" -> 29. 0 for anything else: only the entries that were always there are hooked.
unsigned MinorVersion(const char* text) {
  if (text == nullptr || text[0] != '1' || text[1] != '.') return 0;
  return static_cast<unsigned>(strtoul(text + 2, nullptr, 10));
}

}  // namespace

bool IsOurEntry(const void* entry) {
  if (entry == reinterpret_cast<const void*>(&OrtGetApiBase)) return true;
  for (const auto hooked : kEntries) {
    if (entry == reinterpret_cast<const void*>(hooked)) return true;
  }
  return false;
}

void* HookedEntryFor(void* real_entry) {
  MutexLock lock(&runtimes_mutex);
  const auto* base = reinterpret_cast<const OrtApiBase* (*)()>(real_entry)();
  if (base == nullptr) return real_entry;
  const unsigned version = MinorVersion(base->GetVersionString());
  for (std::size_t i = 0; i < runtimes.size(); ++i) {
    Runtime& runtime = runtimes[i];
    const bool same = runtime.entry == real_entry;
    // The app may have closed one runtime and opened another that landed at the same address.
    if (same && (runtime.base != base || runtime.version != version)) {
      free(runtime.hooked_api);
      runtime = {};
    }
    if (runtime.entry == nullptr) {
      runtime.entry = real_entry;
      runtime.base = base;
      runtime.version = version;
    } else if (!same) {
      continue;
    }
    ReportRuntime(real_entry, base->GetVersionString(), true);
    return reinterpret_cast<void*>(kEntries[i]);
  }
  SayOnce(Topic::kRuntime,
          "more runtimes in one process than can be hooked; the last runs uncontrolled");
  ReportRuntime(real_entry, base->GetVersionString(), false);
  return real_entry;
}

}  // namespace stagger::agent

// What linked apps call instead of the runtime's own.
extern "C" __attribute__((visibility("default"))) const OrtApiBase* ORT_API_CALL
OrtGetApiBase(void) noexcept {
  using namespace stagger::agent;
  void* real = FindRuntimeEntry(__builtin_return_address(0));
  if (real == nullptr) return nullptr;
  void* entry = StandsAside() ? real : HookedEntryFor(real);
  return reinterpret_cast<const OrtApiBase* (*)()>(entry)();
}
