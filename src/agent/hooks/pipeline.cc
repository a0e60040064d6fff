#include "agent/hooks/pipeline.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "agent/hooks/body.h"
#include "agent/hooks/forward.h"
#include "agent/state.h"

namespace stagger::agent {
namespace {

OrtStatus* Refusal(const OrtApi& api, const char* text) { return api.CreateStatus(ORT_FAIL, text); }

// What values hold, as if a lane had answered; offsets are not used.
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
  Frame frame;
  if (OrtStatus* status = Start(forwarded, call, &frame)) return status;
  frames_.push_back(std::move(frame));
  const std::size_t depth = State::Get().options.pipeline;
  const bool full = frames_.size() > depth;
  OrtStatus* status = Finish(forwarded, &frames_.front());
  if (status == nullptr) status = Hand(forwarded, frames_.front(), call);
  *remote = status == nullptr && frames_.front().done;
  if (full || status != nullptr) {
    Drop(forwarded, &frames_.front());
    frames_.pop_front();
  }
  return status;
}

OrtStatus* Pipeline::Start(Forwarded& forwarded, const Call& call, Frame* frame) {
  Request request;
  const OrtApi& api = *forwarded.runtime.api;
  if (const char* why = Describe(api, forwarded.ports, call, &request)) {
    return Refusal(api, (std::string("stagger: with --pipeline every call must go to an executor, "
                                     "and this one is ") +
                         why)
                            .c_str());
  }
  frame->request = request.layout;
  frame->end = request.end;
  while (std::unique_ptr<Lane> lane = forwarded.remote.Acquire()) {
    if (!Place(request, lane.get())) {
      forwarded.remote.Return(std::move(lane));
      break;
    }
    if (lane->Start(DueTime())) {
      frame->lane = std::move(lane);
      frame->under_way = true;
      return nullptr;
    }
    forwarded.remote.Lose(std::move(lane));
  }
  return ComputeHere(forwarded, frame, call.inputs, call.input_count);
}

// Its executor may have died: its inputs are still there, and it runs again elsewhere.
OrtStatus* Pipeline::Finish(Forwarded& forwarded, Frame* frame) {
  while (frame->under_way) {
    frame->under_way = false;
    const Lane::Outcome outcome = frame->lane->Await();
    if (outcome == Lane::Outcome::kDone) {
      frame->done = true;
      return nullptr;
    }
    std::unique_ptr<Lane> dead = std::move(frame->lane);
    if (outcome == Lane::Outcome::kLost) {
      // Its mapping must outlive the next copy; Lose takes the rest.
      while (std::unique_ptr<Lane> lane = forwarded.remote.Acquire()) {
        if (lane->executor == dead->executor) {
          forwarded.remote.Lose(std::move(lane));
          continue;
        }
        if (lane->Reserve(frame->end)) {
          std::memcpy(lane->input(), dead->input(), frame->end);
          if (lane->Start(DueTime())) {
            frame->lane = std::move(lane);
            frame->under_way = true;
            break;
          }
        }
        forwarded.remote.Lose(std::move(lane));
      }
    }
    OrtStatus* status = nullptr;
    if (!frame->under_way) {
      const OrtApi& api = *forwarded.runtime.api;
      OrtMemoryInfo* memory = nullptr;
      std::vector<OrtValue*> inputs;
      status = api.CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory);
      for (std::uint32_t i = 0; status == nullptr && i < frame->request.count; ++i) {
        const wire::TensorPlace& place = frame->request.tensors[i];
        OrtValue* value = nullptr;
        status = api.CreateTensorWithDataAsOrtValue(
            memory, dead->input() + place.offset, place.bytes, place.dims.data(), place.rank,
            static_cast<ONNXTensorElementDataType>(place.type), &value);
        if (status == nullptr) inputs.push_back(value);
      }
      if (status == nullptr) status = ComputeHere(forwarded, frame, inputs.data(), inputs.size());
      for (OrtValue* value : inputs) api.ReleaseValue(value);
      if (memory != nullptr) api.ReleaseMemoryInfo(memory);
    }
    if (outcome == Lane::Outcome::kLost) {
      forwarded.remote.Lose(std::move(dead));
    } else {
      forwarded.remote.Return(std::move(dead));
    }
    if (status != nullptr) return status;
  }
  return nullptr;
}

OrtStatus* Pipeline::ComputeHere(Forwarded& forwarded, Frame* frame, const OrtValue* const* inputs,
                                 std::size_t count) {
  std::vector<const char*> input_names;
  std::vector<const char*> output_names;
  for (std::size_t i = 0; i < count; ++i) {
    input_names.push_back(forwarded.ports.inputs[frame->request.tensors[i].index].c_str());
  }
  for (std::uint32_t i = 0; i < frame->request.wanted_count; ++i) {
    output_names.push_back(forwarded.ports.outputs[frame->request.wanted[i]].c_str());
  }
  std::vector<OrtValue*> values(output_names.size(), nullptr);
  OrtStatus* status = RunHere(forwarded, {.options = nullptr,
                                          .input_names = input_names.data(),
                                          .inputs = inputs,
                                          .input_count = count,
                                          .output_names = output_names.data(),
                                          .output_count = output_names.size(),
                                          .outputs = values.data()});
  if (status == nullptr) frame->values = std::move(values);
  return status;
}

OrtStatus* Pipeline::Hand(Forwarded& forwarded, const Frame& frame, const Call& call) {
  const OrtApi& api = *forwarded.runtime.api;
  bool same = frame.request.wanted_count == call.output_count;
  for (std::uint32_t i = 0; same && i < frame.request.wanted_count; ++i) {
    same = forwarded.ports.outputs[frame.request.wanted[i]] == call.output_names[i];
  }
  if (!same) {
    return Refusal(api, "stagger: with --pipeline every call must ask for the same outputs");
  }
  if (!frame.done) {
    if (ReadValues(api, frame.values, call)) return nullptr;
    return Refusal(api, "stagger: an output has another shape than the app's own tensor");
  }
  wire::Layout answer;
  if (ReadAnswer(frame.request, *frame.lane, &answer) &&
      Deliver(api, answer, frame.lane->output(), call)) {
    return nullptr;
  }
  return Refusal(api, "stagger: an output has another shape than the app's own tensor");
}

void Pipeline::Drop(Forwarded& forwarded, Frame* frame) {
  for (OrtValue* value : frame->values) forwarded.runtime.api->ReleaseValue(value);
  frame->values.clear();
  if (frame->lane) forwarded.remote.Return(std::move(frame->lane));
}

}  // namespace stagger::agent
