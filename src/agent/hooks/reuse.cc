#include "agent/hooks/reuse.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>

#include "agent/hooks/body.h"
#include "agent/hooks/forward.h"
#include "agent/say.h"
#include "agent/state.h"

namespace stagger::agent {
namespace {

// The oldest runtime whose table has all that is called here.
constexpr unsigned kOldest = 14;

// Whether its calls ask for turns here, and have done with warming up.
bool AsksHere(const Session& session) {
  return session.controlled && session.has_own_bodies.load(std::memory_order_relaxed) == 0;
}
bool WarmsUp(const Session& session) {
  return AsksHere(session) && session.warmup_left.load(std::memory_order_relaxed) > 0;
}

void Refused(Session& session, const char* why) {
  if (session.reuse_refused.exchange(true)) return;
  SayOnce(Topic::kExcess, std::string("excess 'reuse' refused for a session: ") + why +
                              "; all its calls go through, as with 'pass'");
  State::Get().gate.RefuseReuse();
}

// What tells calls that are alike: names, types and shapes. False: not all are tensors of numbers.
bool Ask(const OrtApi& api, const Call& call, std::string* asked) {
  for (std::size_t i = 0; i < call.input_count; ++i) {
    wire::TensorPlace place;
    std::byte* data = nullptr;
    if (call.inputs[i] == nullptr || call.input_names[i] == nullptr ||
        !ReadTensor(api, call.inputs[i], &place, &data)) {
      return false;
    }
    asked->append(call.input_names[i]).append(1, '\0').append(std::to_string(place.type));
    for (std::uint32_t d = 0; d < place.rank; ++d) {
      asked->append(1, ' ').append(std::to_string(place.dims[d]));
    }
    asked->append(1, '\0');
  }
  for (std::size_t i = 0; i < call.output_count; ++i) {
    if (call.output_names[i] == nullptr) return false;
    asked->append(1, '\0').append(call.output_names[i]);
  }
  return true;
}

}  // namespace

void PaceCall(const OrtSession* session) {
  State& state = State::Get();
  if (state.options.period == Duration{} || state.options.hello.spec.excess != Excess::kPace)
    return;
  // A call within a call is part of that one.
  if (FrameworkDepth() > 0) return;
  const std::shared_ptr<Session> record = state.sessions.Find(session, state.options.warmup);
  if (!AsksHere(*record) || WarmsUp(*record)) return;
  state.link.Nudge();
  state.gate.AwaitSlot(&record->slots, state.options.period);
}

void PaceDevice(DeviceId device) {
  State& state = State::Get();
  if (state.options.period == Duration{}) return;
  switch (state.options.hello.spec.excess) {
    case Excess::kPace:
      return state.gate.AwaitSlot(device, state.options.period);
    case Excess::kReuse: {
      // A runtime that computes on the GPU answers before it comes here.
      static std::atomic<bool> refused{false};
      if (FrameworkDepth() > 0 || refused.exchange(true)) return;
      SayOnce(Topic::kExcess,
              "excess 'reuse' is for ONNX Runtime's calls only; this app's inferences on the GPU "
              "all go through, as with 'pass'");
      return state.gate.RefuseReuse();
    }
    case Excess::kPass:
      return;
  }
}

void RefuseReuse(const OrtSession* session, const char* why) {
  State& state = State::Get();
  if (state.options.period == Duration{} || state.options.hello.spec.excess != Excess::kReuse)
    return;
  Refused(*state.sessions.Find(session, state.options.warmup), why);
}

ReuseCall::ReuseCall(const OrtApi& api, unsigned version, const OrtSession* session,
                     const Call& call)
    : api_(api), key_(session), call_(call) {
  State& state = State::Get();
  if (state.options.period == Duration{} || state.options.hello.spec.excess != Excess::kReuse)
    return;
  if (FrameworkDepth() > 0) return;
  state.link.Nudge();
  std::shared_ptr<Session> record = state.sessions.Find(session, state.options.warmup);
  if (record->reuse_refused || WarmsUp(*record)) return;
  session_ = std::move(record);
  alone_ = !session_->in_call.exchange(true);
  if (alone_ && !session_->previous) session_->previous = std::make_shared<Previous>();
  if (const char* why = alone_ ? Begin(version) : "two threads call it at a time") Refuse(why);
}

ReuseCall::~ReuseCall() {
  if (!alone_) return;
  if (session_->reuse_refused) session_->previous.reset();  // another thread called meanwhile
  session_->in_call.store(false);
}

void ReuseCall::Refuse(const char* why) {
  Refused(*session_, why);
  keeps_ = answered_ = false;
  if (alone_) {
    session_->previous.reset();
    session_->in_call.store(false);
    alone_ = false;
  }
  session_.reset();
}

const char* ReuseCall::Begin(unsigned version) {
  if (version < kOldest) return "its runtime is older than 1.14";
  if (call_.input_count > wire::kMaxTensors || call_.output_count > wire::kMaxTensors ||
      call_.input_names == nullptr || call_.inputs == nullptr || call_.output_names == nullptr ||
      call_.outputs == nullptr) {
    return "a call has more tensors than are known of, or none";
  }
  Previous& previous = *session_->previous;
  const auto self = static_cast<pid_t>(syscall(SYS_gettid));
  if (previous.caller == 0) previous.caller = self;
  if (previous.caller != self) return "a second thread calls it";
  std::string asked;
  if (!Ask(api_, call_, &asked)) return "it has inputs that are no tensors of numbers";
  if (previous.asked.empty()) previous.asked = asked;
  if (previous.asked != asked) return "its calls differ in the shapes or outputs they ask for";

  switch (State::Get().gate.TakeSlot(&session_->slots)) {
    case Gate::Slot::kNone:
      // Outputs from before must not be handed out when a daemon is back.
      previous.kept = false;
      return nullptr;
    case Gate::Slot::kTaken:
      keeps_ = true;
      return nullptr;
    case Gate::Slot::kEarly:
      break;
  }
  keeps_ = true;  // unless it is answered
  if (!previous.kept) return nullptr;
  if (call_.allocator == nullptr) call_.allocator = OutputAllocator(api_, key_);
  if (call_.allocator == nullptr || !Deliver(api_, previous.layout, previous.bytes.data(), call_)) {
    return "the app brings an output tensor of another shape";
  }
  keeps_ = false;
  answered_ = true;
  State::Get().gate.CountSkipped();
  return nullptr;
}

OrtStatus* ReuseCall::Ran(OrtStatus* status) {
  if (!keeps_) return status;
  session_->previous->kept = false;
  if (status != nullptr) return status;  // an error is not repeated: the next call runs
  if (const char* why = Keep()) Refuse(why);
  return nullptr;
}

const char* ReuseCall::Keep() {
  Previous& previous = *session_->previous;
  wire::Layout& layout = previous.layout;
  std::array<const std::byte*, wire::kMaxTensors> data{};
  std::uint64_t end = 0;
  layout = {};
  for (std::size_t i = 0; i < call_.output_count; ++i) {
    wire::TensorPlace& place = layout.tensors[i];
    std::byte* at = nullptr;
    if (!ReadTensor(api_, call_.outputs[i], &place, &at)) {
      return "it has outputs that are no tensors of numbers";
    }
    data[i] = at;
    place.offset = end;
    end += place.bytes;
  }
  layout.count = static_cast<std::uint32_t>(call_.output_count);
  previous.bytes.resize(end);
  for (std::uint32_t i = 0; i < layout.count; ++i) {
    const wire::TensorPlace& place = layout.tensors[i];
    if (place.bytes > 0) {
      std::memcpy(previous.bytes.data() + place.offset, data[i], place.bytes);
    }
  }
  previous.kept = true;
  return nullptr;
}

}  // namespace stagger::agent
