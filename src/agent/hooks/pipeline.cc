#include "agent/hooks/pipeline.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "agent/hooks/body.h"
#include "agent/hooks/forward.h"
#include "agent/report.h"
#include "agent/state.h"

namespace stagger::agent {
namespace {

OrtStatus* Refusal(const OrtApi& api, const char* text) { return api.CreateStatus(ORT_FAIL, text); }

// What values hold, as if a slot had answered; offsets are not used.
bool ReadValues(const OrtApi& api, const std::vector<OrtValue*>& values, const Call& call) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    wire::TensorPlace place;
    std::byte* from = nullptr;
    bool made = false;
    if (!ReadTensor(api, values[i], &place, &from)) return false;
    std::byte* to = PrepareOutput(api, call, i, place, &made);
    if (to == nullptr && place.bytes > 0) return false;
    if (place.bytes > 0) std::memcpy(to, from, place.bytes);
  }
  return true;
}

}  // namespace

Pipeline::~Pipeline() {
  for (Frame& frame : frames_) {
    for (OrtValue* value : frame.values) api_->ReleaseValue(value);
  }
}

OrtStatus* Pipeline::Run(Forwarded& forwarded, const Call& call, bool* remote) {
  const OrtApi& api = *forwarded.runtime.api;
  api_ = &api;
  const auto self = static_cast<pid_t>(syscall(SYS_gettid));
  pid_t nobody = 0;
  if (!caller_.compare_exchange_strong(nobody, self) && nobody != self) {
    return Refusal(api,
                   "stagger: a session with --pipeline was called from a second thread: results "
                   "could not be told apart; run this app without --pipeline");
  }
  Frame started;
  if (OrtStatus* status = Start(forwarded, call, &started)) return status;
  frames_.push_back(std::move(started));
  const bool full = frames_.size() > State::Get().options.pipeline;
  Frame& frame = frames_.front();
  OrtStatus* status = Finish(forwarded, &frame);
  if (status == nullptr) status = Hand(forwarded, frame, call);
  *remote = status == nullptr && frame.part.slot != nullptr;
  if (full || status != nullptr) {
    for (OrtValue* value : frame.values) api.ReleaseValue(value);
    Release(forwarded, &frame.part);
    frames_.pop_front();
  }
  return status;
}

OrtStatus* Pipeline::Start(Forwarded& forwarded, const Call& call, Frame* frame) {
  const OrtApi& api = *forwarded.runtime.api;
  if (const char* why = Describe(api, forwarded.ports, call, &frame->part.request)) {
    return Refusal(api, (std::string("stagger: with --pipeline every call must go to an executor, "
                                     "and this one is ") +
                         why)
                            .c_str());
  }
  frame->under_way = Begin(forwarded, &frame->part) == Sent::kUnderWay;
  return frame->under_way ? nullptr : ComputeHere(forwarded, frame);
}

OrtStatus* Pipeline::Finish(Forwarded& forwarded, Frame* frame) {
  Part& part = frame->part;
  while (frame->under_way) {
    const ExecutorSlot::Outcome outcome = part.slot->Await();
    frame->under_way = false;
    if (outcome == ExecutorSlot::Outcome::kDone) break;
    // The app has long had its own tensors back, but the slot still holds what was in them.
    frame->inputs.assign(part.slot->input(), part.slot->input() + part.request.end);
    for (std::uint32_t i = 0; i < part.request.layout.count; ++i) {
      part.request.data[i] = frame->inputs.data() + part.request.layout.tensors[i].offset;
    }
    if (outcome == ExecutorSlot::Outcome::kLost) {
      forwarded.remote.Lose(std::move(part.slot));
      frame->under_way = Begin(forwarded, &part) == Sent::kUnderWay;
    } else {
      Release(forwarded, &part);
    }
    if (!frame->under_way) return ComputeHere(forwarded, frame);
  }
  return nullptr;
}

OrtStatus* Pipeline::ComputeHere(Forwarded& forwarded, Frame* frame) {
  const OrtApi& api = *forwarded.runtime.api;
  const Request& request = frame->part.request;
  std::vector<const char*> input_names;
  std::vector<OrtValue*> inputs;
  std::vector<const char*> output_names;
  OrtMemoryInfo* memory = nullptr;
  OrtStatus* status = api.CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory);
  for (std::uint32_t i = 0; status == nullptr && i < request.layout.count; ++i) {
    const wire::TensorPlace& place = request.layout.tensors[i];
    input_names.push_back(forwarded.ports.inputs[place.index].c_str());
    OrtValue* value = nullptr;
    status = api.CreateTensorWithDataAsOrtValue(
        memory, const_cast<std::byte*>(request.data[i]), place.bytes, place.dims.data(), place.rank,
        static_cast<ONNXTensorElementDataType>(place.type), &value);
    if (status == nullptr) inputs.push_back(value);
  }
  for (std::uint32_t i = 0; i < request.layout.wanted_count; ++i) {
    output_names.push_back(forwarded.ports.outputs[request.layout.wanted[i]].c_str());
  }
  std::vector<OrtValue*> values(output_names.size(), nullptr);
  if (status == nullptr) {
    ReportStayed(Staying::kCall, kNobodyLeft);
    status = RunHere(forwarded, {.options = nullptr,
                                 .input_names = input_names.data(),
                                 .inputs = inputs.data(),
                                 .input_count = inputs.size(),
                                 .output_names = output_names.data(),
                                 .output_count = output_names.size(),
                                 .outputs = values.data()});
  }
  for (OrtValue* value : inputs) api.ReleaseValue(value);
  if (memory != nullptr) api.ReleaseMemoryInfo(memory);
  if (status == nullptr) frame->values = std::move(values);
  return status;
}

OrtStatus* Pipeline::Hand(Forwarded& forwarded, const Frame& frame, const Call& call) {
  const OrtApi& api = *forwarded.runtime.api;
  const wire::Layout& request = frame.part.request.layout;
  bool same = request.wanted_count == call.output_count;
  for (std::uint32_t i = 0; same && i < request.wanted_count; ++i) {
    same = forwarded.ports.outputs[request.wanted[i]] == call.output_names[i];
  }
  if (!same) {
    return Refusal(api, "stagger: with --pipeline every call must ask for the same outputs");
  }
  const ExecutorSlot* slot = frame.part.slot.get();
  wire::Layout answer;
  const bool handed = slot == nullptr ? ReadValues(api, frame.values, call)
                                      : ReadAnswer(request, *slot, &answer) &&
                                            Deliver(api, answer, slot->output(), call);
  if (handed) return nullptr;
  return Refusal(api, "stagger: an output has another shape than the app's own tensor");
}

}  // namespace stagger::agent
