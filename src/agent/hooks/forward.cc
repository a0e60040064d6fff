#include "agent/hooks/forward.h"

#include <dlfcn.h>
#include <sys/sysmacros.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "agent/hooks/body.h"
#include "agent/hooks/cooperate.h"
#include "agent/hooks/split.h"
#include "agent/report.h"
#include "agent/say.h"
#include "agent/state.h"
#include "base/clock.h"

namespace stagger::agent {
namespace {

// What the daemon assigned to this name is to be known before a model is loaded somewhere.
constexpr Duration kFirstWord = std::chrono::seconds{1};

// The file the runtime was loaded from, as anybody on this machine would find it.
bool FindRuntimeFile(const void* entry, wire::Open* open) {
  Dl_info info;
  if (dladdr(entry, &info) == 0 || info.dli_fname == nullptr) return false;
  char* path = realpath(info.dli_fname, nullptr);
  if (path == nullptr) return false;
  struct statx file {};
  const bool there = FileFacts(path, &file);
  open->runtime = path;
  open->runtime_device = gnu_dev_makedev(file.stx_dev_major, file.stx_dev_minor);
  open->runtime_inode = file.stx_ino;
  free(path);
  return there && open->runtime.size() <= wire::kMaxRuntimePath;
}

std::string OptionLines(const OptionFacts& facts) {
  std::string lines;
  for (const auto& [key, value] : facts.forwarded) {
    lines.append(key).append(1, '=').append(value).append(1, '\n');
  }
  return lines;
}

OrtSessionOptions* CloneOptions(const OrtApi& api, const OrtSessionOptions* options) {
  OrtSessionOptions* clone = nullptr;
  if (!Ok(api, options != nullptr ? api.CloneSessionOptions(options, &clone)
                                  : api.CreateSessionOptions(&clone))) {
    return nullptr;
  }
  if (options != nullptr) State::Get().sessions.CopyFacts(options, clone);
  return clone;
}

void ReleaseOptions(const OrtApi& api, OrtSessionOptions* options) {
  if (options == nullptr) return;
  State::Get().sessions.ForgetOptions(options);
  api.ReleaseSessionOptions(options);
}

// The app's own runtime makes the session that the app will hold.
OrtSession* CreateStub(const Forwarded& forwarded, std::span<const std::byte> stub) {
  const OrtApi& api = *forwarded.runtime.api;
  OrtSessionOptions* options = CloneOptions(api, forwarded.options);
  if (options == nullptr) return nullptr;
  OrtSession* session = nullptr;
  const bool made = Ok(api, api.SetIntraOpNumThreads(options, 1)) &&
                    Ok(api, api.SetInterOpNumThreads(options, 1)) &&
                    Ok(api, api.SetSessionGraphOptimizationLevel(options, ORT_DISABLE_ALL)) &&
                    Ok(api, api.CreateSessionFromArray(forwarded.env, stub.data(), stub.size(),
                                                       options, &session));
  ReleaseOptions(api, options);
  return made ? session : nullptr;
}

bool ReadNames(const OrtApi& api, const OrtSession* session, bool inputs,
               std::vector<std::string>* names) {
  OrtAllocator* allocator = nullptr;
  std::size_t count = 0;
  if (!Ok(api, api.GetAllocatorWithDefaultOptions(&allocator)) ||
      !Ok(api, inputs ? api.SessionGetInputCount(session, &count)
                      : api.SessionGetOutputCount(session, &count))) {
    return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    char* name = nullptr;
    if (!Ok(api, inputs ? api.SessionGetInputName(session, i, allocator, &name)
                        : api.SessionGetOutputName(session, i, allocator, &name))) {
      return false;
    }
    names->emplace_back(name);
    allocator->Free(allocator, name);
  }
  return true;
}

bool ReadPorts(const OrtApi& api, const OrtSession* session, Ports* ports) {
  return ReadNames(api, session, true, &ports->inputs) &&
         ReadNames(api, session, false, &ports->outputs);
}

}  // namespace

// Outputs come from an arena, as the runtime's own do: fresh pages for each would cost more than
// the copy. It is kept for good, one per runtime, because an app may keep a tensor for longer than
// the session it came from.
OrtAllocator* OutputAllocator(const OrtApi& api, const OrtSession* session) {
  struct Slot {
    std::atomic<const OrtApi*> api{nullptr};
    std::atomic<OrtAllocator*> allocator{nullptr};
  };
  static std::array<Slot, 4> slots;
  for (Slot& slot : slots) {
    const OrtApi* taken = nullptr;
    if (slot.api.compare_exchange_strong(taken, &api)) {
      OrtMemoryInfo* memory = nullptr;
      OrtAllocator* made = nullptr;
      if (Ok(api, api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory))) {
        if (Ok(api, api.CreateAllocator(session, memory, &made))) slot.allocator.store(made);
        api.ReleaseMemoryInfo(memory);
      }
    } else if (taken != &api) {
      continue;
    }
    if (OrtAllocator* arena = slot.allocator.load()) return arena;
    break;
  }
  OrtAllocator* plain = nullptr;
  return Ok(api, api.GetAllocatorWithDefaultOptions(&plain)) ? plain : nullptr;
}

namespace {
// Absolute: the app may go elsewhere. Empty: the model is in memory.
std::string FilePath(const ModelSource& source) {
  std::string path;
  if (source.path == nullptr) return path;
  if (char* real = realpath(source.path, nullptr)) {
    path = real;
    free(real);
  }
  return path;
}

const std::string& WhyRunStays(const OrtRunOptions* options, OptionFacts* facts) {
  if (options != nullptr) *facts = State::Get().sessions.FactsOf(options);
  return facts->local_only;
}

}  // namespace

void SayStays(Staying what, const std::string& why) {
  ReportStayed(what, why);
  SayOnce(Topic::kForward, "not forwarded to an executor: " + why);
}

Duration DueTime() {
  const Options& options = State::Get().options;
  const Duration deadline = options.hello.spec.deadline;
  return deadline > Duration{} ? deadline : options.period;
}

Forwarded::~Forwarded() {
  if (OrtSession* session = local_.load(); session != nullptr && own_local_) {
    const std::shared_ptr<Session> record = State::Get().sessions.Take(session);
    runtime.api->ReleaseSession(session);
  }
  ReleaseOptions(*runtime.api, options);
}

OrtSession* Forwarded::Local(OrtStatus** status) {
  if (OrtSession* session = local_.load()) return session;
  MutexLock lock(&local_mutex_);
  if (OrtSession* session = local_.load()) return session;
  OrtSession* session = nullptr;
  local_model_ = remote.model();
  const std::span<const std::byte> bytes = local_model_->bytes();
  *status = CreateCooperative(
      *runtime.api, runtime.version, options, &session, [&](const OrtSessionOptions* o) {
        return runtime.api->CreateSessionFromArray(env, bytes.data(), bytes.size(), o, &session);
      });
  if (*status != nullptr) return nullptr;
  local_.store(session);
  remote.HasStandIn();
  return session;
}

bool CreateForwarded(const RuntimeRef& runtime, const OrtEnv* env, const ModelSource& source,
                     const OrtSessionOptions* options, OrtSession** out,
                     std::shared_ptr<Forwarded>* later) {
  const OrtApi& api = *runtime.api;
  State& state = State::Get();
  state.link.AwaitFirstWord(kFirstWord);
  const OptionFacts facts = options != nullptr ? state.sessions.FactsOf(options) : OptionFacts{};
  const std::string local_only =
      facts.accelerator ? "the session computes on an accelerator" : facts.local_only;
  if (!local_only.empty()) {
    SayStays(Staying::kSession, local_only);
    return false;
  }
  Mapping content;
  std::span<const std::byte> bytes = source.bytes;
  if (source.path != nullptr) {
    content = ReadWhole(source.path);
    bytes = content.bytes();
  }
  // What cannot be read fails in the runtime's own words.
  if (bytes.empty()) return false;

  wire::Open open;
  open.model = HashOf(bytes);
  open.options = OptionLines(facts);
  open.name = state.options.hello.spec.name;
  if (open.options.size() > wire::kMaxSessionOptions || !FindRuntimeFile(runtime.entry, &open)) {
    SayStays(Staying::kSession, "the file of the app's runtime cannot be told");
    return false;
  }
  OrtSessionOptions* clone = CloneOptions(api, options);
  if (clone == nullptr) return false;
  const std::vector<std::string> executors = state.route.executors();
  auto forwarded = std::make_shared<Forwarded>(
      runtime, env, clone,
      std::make_shared<Remote>(&state.route, executors, std::move(open), FilePath(source)));
  Mapping stub;
  std::string reason;
  bool refused = false;
  if (!forwarded->remote.Begin(bytes, &stub, &reason, &refused)) {
    if (!executors.empty()) SayStays(Staying::kSession, reason);
    if (!refused && source.path != nullptr) *later = std::move(forwarded);
    return false;
  }
  OrtSession* session = CreateStub(*forwarded, stub.bytes());
  if (session == nullptr || !ReadPorts(api, session, &forwarded->ports)) {
    if (session != nullptr) api.ReleaseSession(session);
    SayStays(Staying::kSession, "the app's runtime does not take the model's description");
    return false;
  }
  forwarded->allocator = OutputAllocator(api, session);
  state.route.Add(forwarded->shared_remote, executors);
  auto record = std::make_shared<Session>();
  record->forwarded = std::move(forwarded);
  state.sessions.Add(session, std::move(record));
  Count(&report::AgentPage::forwarded_sessions);
  *out = session;
  return true;
}

void MakeForwardable(std::shared_ptr<Forwarded> forwarded, OrtSession* session) {
  const OrtApi& api = *forwarded->runtime.api;
  State& state = State::Get();
  if (!ReadPorts(api, session, &forwarded->ports)) return;
  forwarded->allocator = OutputAllocator(api, session);
  forwarded->SetLocal(session);
  // What it began with does not answer: the mover tries it, and whatever is assigned by now.
  state.route.Add(forwarded->shared_remote, {});
  state.sessions.Find(session, state.options.warmup)->forwarded = std::move(forwarded);
}

OrtStatus* RunHere(Forwarded& forwarded, const Call& call) {
  OrtStatus* status = nullptr;
  OrtSession* session = forwarded.Local(&status);
  if (session == nullptr) return status;
  const Body body(session);
  return forwarded.runtime.api->Run(session, call.options, call.input_names, call.inputs,
                                    call.input_count, call.output_names, call.output_count,
                                    call.outputs);
}

namespace {

// Counted by the daemon, though it takes no turn here.
void Tell(TimePoint call_start) {
  Count(&report::AgentPage::forwarded_calls);
  State::Get().gate.Tell(wire::Forwarded{wire::Bounded(Now() - call_start)});
}

// True: executors ran it, and the outputs are handed out.
bool RunRemote(Forwarded& forwarded, const Call& call, Part* whole) {
  if (RunSplit(forwarded, call, whole->request)) return true;
  const Sent sent = Begin(forwarded, whole);
  if (sent == Sent::kNoRoom) {
    SayStays(Staying::kCall, "inputs of " + std::to_string(whole->request.end) +
                                 " bytes find no room in shared memory");
    return false;
  }
  wire::Layout answer;
  const bool delivered = End(forwarded, whole) &&
                         ReadAnswer(whole->request.layout, *whole->slot, &answer) &&
                         Deliver(*forwarded.runtime.api, answer, whole->slot->output(), call);
  // Else the runtime says here what is wrong, in its own words.
  if (!delivered)
    ReportStayed(Staying::kCall, whole->slot ? "the executor could not run it" : kNobodyLeft);
  Release(forwarded, whole);
  return delivered;
}

}  // namespace

OrtStatus* RunForwarded(Forwarded& forwarded, const Call& call) {
  const OrtApi& api = *forwarded.runtime.api;
  State& state = State::Get();
  const TimePoint call_start = Now();
  state.link.NudgeForwarded();
  if (state.options.pipeline > 0) {
    bool remote = false;
    OrtStatus* status = forwarded.pipeline.Run(forwarded, call, &remote);
    if (remote) Tell(call_start);
    return status;
  }
  OptionFacts facts;
  Part whole;
  if (const std::string& why = WhyRunStays(call.options, &facts); !why.empty()) {
    SayStays(Staying::kCall, why);
    return RunHere(forwarded, call);
  }
  if (const char* why = Describe(api, forwarded.ports, call, &whole.request)) {
    SayStays(Staying::kCall, why);
    return RunHere(forwarded, call);
  }
  if (!RunRemote(forwarded, call, &whole)) return RunHere(forwarded, call);
  Tell(call_start);
  return nullptr;
}

}  // namespace stagger::agent
