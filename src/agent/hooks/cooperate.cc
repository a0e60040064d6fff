#include "agent/hooks/cooperate.h"

#include "agent/forward/call.h"
#include "agent/report.h"
#include "agent/say.h"
#include "agent/state.h"

namespace stagger::agent {
namespace {

bool Has(const OrtApi& api, const OrtSessionOptions* options, const char* key) {
  int has = 0;
  return Ok(api, api.HasSessionConfigEntry(options, key, &has)) && has != 0;
}

bool Adjust(const OrtApi& api, OrtSessionOptions* options, const OptionFacts& facts, Pool* pool) {
  constexpr const char* kSpin = "session.intra_op.allow_spinning";
  constexpr const char* kSpinTime = "session.intra_op.spin_duration_us";
  constexpr const char* kSpinStop = "session.force_spinning_stop";
  if (!Has(api, options, kSpin) && !Has(api, options, kSpinTime) && !Has(api, options, kSpinStop)) {
    // Bounded spinning (50 us) was measured too: a lone app gains a tenth, several apps that share
    // cores lose more (docs/measurements/cpu.md).
    if (!Ok(api, api.AddSessionConfigEntry(options, kSpin, "0"))) return false;
  }
  // Left at its default the runtime pins its threads one to a core, the same cores in every app.
  if (!facts.threads && !Ok(api, api.SetIntraOpNumThreads(options, UsableCores()))) return false;
  return Ok(api, api.SessionOptionsSetCustomCreateThreadFn(
                     options, reinterpret_cast<OrtCustomCreateThreadFn>(&Pool::CreateThread))) &&
         Ok(api, api.SessionOptionsSetCustomThreadCreationOptions(options, pool)) &&
         Ok(api, api.SessionOptionsSetCustomJoinThreadFn(
                     options, reinterpret_cast<OrtCustomJoinThreadFn>(&Pool::JoinThread)));
}

}  // namespace

Cooperation Prepare(const OrtApi& api, unsigned version, const OrtSessionOptions* options) {
  State& state = State::Get();
  const OptionFacts facts = state.sessions.FactsOf(options);
  Cooperation cooperation;
  cooperation.record = std::make_shared<Session>();
  cooperation.record->warmup_left = state.options.warmup;
  cooperation.record->controlled = !facts.accelerator;
  // Custom threads came with 1.10 and asking for config entries with 1.14.
  if (!state.options.cooperative || facts.accelerator || facts.custom_threads ||
      facts.shared_pool || version < 14) {
    return cooperation;
  }
  OrtSessionOptions* clone = nullptr;
  if (!Ok(api, options != nullptr ? api.CloneSessionOptions(options, &clone)
                                  : api.CreateSessionOptions(&clone))) {
    return cooperation;
  }
  auto pool = std::make_unique<Pool>();
  if (!Adjust(api, clone, facts, pool.get())) {
    api.ReleaseSessionOptions(clone);
    return cooperation;
  }
  cooperation.options = clone;
  cooperation.record->pool = std::move(pool);
  return cooperation;
}

void Finish(const OrtApi& api, const Cooperation& cooperation, OrtSession* session) {
  if (session != nullptr) {
    State::Get().sessions.Add(session, cooperation.record);
    ReportSession(!cooperation.record->controlled, cooperation.record->pool != nullptr);
  }
  if (cooperation.options != nullptr) api.ReleaseSessionOptions(cooperation.options);
}

}  // namespace stagger::agent
