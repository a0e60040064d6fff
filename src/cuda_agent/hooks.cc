// One function per hooked symbol, made from the list of calls. An app that is linked against the
// driver reaches them by their names, since this library is preloaded; others are handed them
// (entry.cc).
#include "cuda_agent/hooks.h"

#include <array>

#include "cuda_agent/capture.h"
#include "cuda_agent/entry.h"
#include "cuda_agent/facts.h"
#include "cuda_agent/fault.h"
#include "cuda_agent/report.h"
#include "cuda_agent/turn_keeper.h"

namespace stagger::cuda_agent {
namespace {

// The call returns when the device has done what it is about. Copies do unless they say "Async".
constexpr bool Blocks(const cuda::Call& call) {
  switch (call.kind) {
    case cuda::CallKind::kSync:
    case cuda::CallKind::kEventSync:
      return true;
    case cuda::CallKind::kCopyHtoD:
    case cuda::CallKind::kCopyDtoH:
    case cuda::CallKind::kCopyDtoD:
    case cuda::CallKind::kCopy:
      return call.symbol.find("Async") == std::string_view::npos;
    default:
      return false;
  }
}

// What a query is about: an event, or a stream.
std::uint64_t HandleIn(const Facts& facts) {
  return facts.hash ^ reinterpret_cast<std::uint64_t>(facts.stream);
}

CUresult Noted(std::size_t at, CUresult result) {
  if (result != CUDA_SUCCESS) [[unlikely]]
    NoteError(at, result);
  return result;
}

template <std::size_t at, typename... Arguments>
CUresult Observed(Arguments... arguments) {
  constexpr cuda::Call call = cuda::kCalls[at];
  if (Report& report = Report::Get(); report.wanted()) report.Count(at);
  if constexpr (call.kind == cuda::CallKind::kEventRecord ||
                call.kind == cuda::CallKind::kHostFunction) {
    TurnKeeper::Ignored();
    return Noted(at, RealCall<at>(arguments...));
  } else if constexpr (call.kind == cuda::CallKind::kQuery) {
    TurnKeeper& keeper = TurnKeeper::Get();
    const phase::BodyId ended = keeper.BeforeQuery(HandleIn(FactsOf(arguments...)));
    const CUresult result = Noted(at, RealCall<at>(arguments...));
    keeper.AfterQuery(ended, result);
    return result;
  } else {
    constexpr bool blocks = Blocks(call);
    TurnKeeper& keeper = TurnKeeper::Get();
    const TurnKeeper::CallToken token =
        keeper.Before(call.kind, call.per_thread, blocks, FactsOf(arguments...));
    const CUresult result = Noted(at, RealCall<at>(arguments...));
    if (token.needs_after) keeper.After(token);
    return result;
  }
}

template <std::size_t at, typename... Arguments>
CUresult Capture(Arguments... arguments) {
  constexpr std::string_view base = cuda::kCalls[at].base;
  constexpr bool begins = base.starts_with("cuStreamBeginCapture");
  // Before it begins: an event of ours must not fall between.
  if (begins) Captures::Began();
  const CUresult result = RealCall<at>(arguments...);
  if ((begins && result != CUDA_SUCCESS) || base == "cuStreamEndCapture") Captures::Ended();
  return result;
}

}  // namespace
}  // namespace stagger::cuda_agent

// A list of arguments is no expression to put in parentheses.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define STAGGER_HOOK(through, symbol, parameters, arguments)                     \
  extern "C" __attribute__((visibility("default"))) CUresult symbol parameters { \
    using namespace stagger::cuda_agent;                                         \
    return through<kAt_##symbol> arguments;                                      \
  }
// NOLINTEND(bugprone-macro-parentheses)
#define STAGGER_HOOK_kLaunch(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kGraphLaunch(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kCopyHtoD(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kCopyDtoH(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kCopyDtoD(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kCopy(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kMemset(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kSync(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kEventRecord(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kEventSync(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kQuery(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kStreamWait(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kHostFunction(...) STAGGER_HOOK(Observed, __VA_ARGS__)
#define STAGGER_HOOK_kCapture(...) STAGGER_HOOK(Capture, __VA_ARGS__)
#define STAGGER_HOOK_kIdentity(...)
#define STAGGER_HOOK_kMemory(...)
#define STAGGER_HOOK_kGraph(...)
#define STAGGER_HOOK_kEntry(...)
#define STAGGER_HOOK_kOther(...)

#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  STAGGER_HOOK_##kind(symbol, parameters, arguments)
#include "cuda/driver_calls.inc"

namespace stagger::cuda_agent {
namespace {

#undef STAGGER_HOOK
#define STAGGER_HOOK(through, symbol, parameters, arguments) \
  hooks[kAt_##symbol] = reinterpret_cast<void*>(&::symbol);

std::array<void*, kCallCount> MakeHooks() {
  std::array<void*, kCallCount> hooks{};
#define STAGGER_CUDA_CALL(base, symbol, since, kind, parameters, arguments) \
  STAGGER_HOOK_##kind(symbol, parameters, arguments)
#include "cuda/driver_calls.inc"
  hooks[kAt_cuGetProcAddress] = reinterpret_cast<void*>(&::cuGetProcAddress);
  hooks[kAt_cuGetProcAddress_v2] = reinterpret_cast<void*>(&::cuGetProcAddress_v2);
  return hooks;
}

}  // namespace

void* HookFor(std::size_t at) {
  static const std::array<void*, kCallCount> hooks = MakeHooks();
  return hooks[at];
}

}  // namespace stagger::cuda_agent
