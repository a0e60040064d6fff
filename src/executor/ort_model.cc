#include "executor/ort_model.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

#include "base/try.h"
#include "executor/batch_trial.h"
#include "executor/ort_cuda.h"
#include "executor/ort_ports.h"
#include "executor/stub_model.h"

namespace stagger::executor {
namespace {

Result<std::int64_t> Whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return Error{fmt::format("session option '{}': expected a whole number", text)};
  }
  return value;
}

// Puts one line of an app's options into effect.
Result<void> ApplyOption(const Runtime& runtime, OrtSessionOptions* options,
                         std::string_view line) {
  const OrtApi& api = runtime.api();
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) {
    return Error{fmt::format("session option '{}': expected KEY=VALUE", line)};
  }
  const std::string_view key = line.substr(0, equals);
  const std::string value(line.substr(equals + 1));
  if (key.starts_with("config:")) {
    return runtime.Check(
        api.AddSessionConfigEntry(options, std::string(key.substr(7)).c_str(), value.c_str()));
  }
  const std::int64_t number = STAGGER_TRY(Whole(value));
  if (key == "optimize") {
    return runtime.Check(
        api.SetSessionGraphOptimizationLevel(options, static_cast<GraphOptimizationLevel>(number)));
  }
  if (key == "deterministic") {
    return runtime.Check(api.SetDeterministicCompute(options, number != 0));
  }
  if (key.starts_with("free_dim:")) {
    return runtime.Check(
        api.AddFreeDimensionOverrideByName(options, std::string(key.substr(9)).c_str(), number));
  }
  if (key.starts_with("free_denotation:")) {
    return runtime.Check(
        api.AddFreeDimensionOverride(options, std::string(key.substr(16)).c_str(), number));
  }
  return Error{fmt::format("session option '{}' is not known to this executor", key)};
}

Result<void> Apply(const Runtime& runtime, OrtSessionOptions* options,
                   const std::string& app_options, const Target& target) {
  const OrtApi& api = runtime.api();
  Calls calls(runtime);
  // Idle threads would take the cores from whatever else runs there.
  if (!calls(api.SetIntraOpNumThreads(options, target.threads)) ||
      !calls(api.AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0"))) {
    return calls.done();
  }
  std::string_view rest = app_options;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (end > 0) {
      if (auto set = ApplyOption(runtime, options, rest.substr(0, end)); !set) return set;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return target.gpu ? AppendCuda(runtime, options, target) : Result<void>();
}

}  // namespace

// The values of one run, released with it.
class OrtModel::Values {
 public:
  explicit Values(const OrtApi& api) : api_(api) {}
  ~Values() {
    for (OrtValue* value : inputs) api_.ReleaseValue(value);
    for (OrtValue* value : outputs) {
      if (value != nullptr) api_.ReleaseValue(value);
    }
  }
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;

  std::vector<const char*> input_names;
  std::vector<OrtValue*> inputs;
  std::vector<const char*> output_names;
  std::vector<OrtValue*> outputs;  // null: the runtime is to make it

 private:
  const OrtApi& api_;
};

Result<std::unique_ptr<Model>> OrtModel::Load(const Runtime& runtime, const ModelSource& source,
                                              const Target& target) {
  const OnnxOutline outline = STAGGER_TRY(ReadOutline(source.bytes));
  if (outline.external_weights) return Error{"its weights lie in other files"};
  std::unique_ptr<OrtModel> model(new OrtModel(runtime));
  if (const auto made = model->Create(source, target); !made) return made.error();
  model->stub_ = STAGGER_TRY(WriteStub(outline, model->inputs_, model->outputs_));
  // What the app will be told is compared with the truth before anybody is told.
  if (const auto same = CompareDescriptions(runtime, model->session_, model->stub_); !same) {
    return same.error();
  }
  model->batch_ = IsBatchShaped(model->inputs_, model->outputs_) && TryBatch(*model);
  return std::unique_ptr<Model>(std::move(model));
}

Result<void> OrtModel::Create(const ModelSource& source, const Target& target) {
  const OrtApi& api = runtime_.api();
  OrtSessionOptions* options = nullptr;
  if (auto made = runtime_.Check(api.CreateSessionOptions(&options)); !made) return made;
  Result<void> made = Apply(runtime_, options, source.options, target);
  if (made) {
    made = runtime_.Check(api.CreateSessionFromArray(runtime_.env(), source.bytes.data(),
                                                     source.bytes.size(), options, &session_));
    if (!made && target.gpu) made = Error{target.name + ": " + made.error().message};
  }
  api.ReleaseSessionOptions(options);
  if (!made) return made;
  Calls calls(runtime_);
  std::size_t overridable = 0;
  if (!calls(api.CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory_)) ||
      !calls(api.SessionGetOverridableInitializerCount(session_, &overridable))) {
    return calls.done();
  }
  if (overridable > 0) return Error{"its weights can be overridden as inputs"};
  for (const bool inputs : {true, false}) {
    (inputs ? inputs_ : outputs_) = STAGGER_TRY(ReadPorts(runtime_, session_, inputs));
  }
  for (const Port& port : inputs_) input_names_.push_back(port.name.c_str());
  for (const Port& port : outputs_) output_names_.push_back(port.name.c_str());
  return {};
}

OrtModel::~OrtModel() {
  if (memory_ != nullptr) runtime_.api().ReleaseMemoryInfo(memory_);
  if (session_ != nullptr) runtime_.api().ReleaseSession(session_);
}

Result<void> OrtModel::Run(const Work& work) {
  if (place_outputs_) {
    if (Result<void> ran = RunOnce(work, true)) return ran;
    // Shapes may have been other than promised; if it works without, that was it.
    Result<void> again = RunOnce(work, false);
    if (again) place_outputs_ = false;
    return again;
  }
  return RunOnce(work, false);
}

Result<void> OrtModel::RunOnce(const Work& work, bool place_outputs) {
  const OrtApi& api = runtime_.api();
  Values values(api);
  for (const wire::TensorPlace& place :
       std::span(work.request->tensors).first(work.request->count)) {
    if (place.index >= inputs_.size()) return Error{"no such input"};
    OrtValue* value = nullptr;
    auto made = runtime_.Check(api.CreateTensorWithDataAsOrtValue(
        memory_, work.input + place.offset, place.bytes, place.dims.data(), place.rank,
        static_cast<ONNXTensorElementDataType>(place.type), &value));
    if (!made) return made;
    values.inputs.push_back(value);
    values.input_names.push_back(input_names_[place.index]);
  }
  wire::Layout layout;
  layout.count = work.request->wanted_count;
  for (std::size_t i = 0; i < layout.count; ++i) {
    const std::uint32_t index = work.request->wanted[i];
    if (index >= outputs_.size()) return Error{"no such output"};
    layout.tensors[i].index = index;
    values.output_names.push_back(output_names_[index]);
  }
  values.outputs.resize(layout.count, nullptr);
  std::uint64_t end = wire::kLayoutBytes;
  if (place_outputs) {
    if (auto placed = PlaceOutputs(work, &layout, &end, &values); !placed) return placed;
  }
  auto ran = runtime_.Check(api.Run(
      session_, nullptr, values.input_names.data(), values.inputs.data(), values.inputs.size(),
      values.output_names.data(), values.output_names.size(), values.outputs.data()));
  if (!ran) return ran;
  if (auto copied = CopyOutputs(work, &layout, end, values); !copied) return copied;
  wire::WriteLayout(layout, work.output);
  return {};
}

// Outputs whose shape is known beforehand are computed where the app will read them.
Result<void> OrtModel::PlaceOutputs(const Work& work, wire::Layout* layout, std::uint64_t* end,
                                    Values* values) const {
  std::map<std::string, std::int64_t> known;
  for (const wire::TensorPlace& place :
       std::span(work.request->tensors).first(work.request->count)) {
    const Port& port = inputs_[place.index];
    for (std::size_t i = 0; i < std::min<std::size_t>(place.rank, port.dims.size()); ++i) {
      if (!port.symbols[i].empty()) known[port.symbols[i]] = place.dims[i];
    }
  }
  std::vector<bool> placed(layout->count, false);
  for (std::size_t i = 0; i < layout->count; ++i) {
    wire::TensorPlace& place = layout->tensors[i];
    const Port& port = outputs_[place.index];
    if (!port.fixed && port.dims.empty()) continue;  // of any rank
    if (port.dims.size() > wire::kMaxRank) continue;
    bool complete = true;
    for (std::size_t d = 0; d < port.dims.size(); ++d) {
      place.dims[d] = port.dims[d];
      if (port.dims[d] >= 0) continue;
      const auto found = known.find(port.symbols[d]);
      complete = complete && !port.symbols[d].empty() && found != known.end();
      if (complete) place.dims[d] = found->second;
    }
    if (!complete) continue;
    place.rank = static_cast<std::uint32_t>(port.dims.size());
    place.type = port.type;
    place.bytes = wire::TensorBytes(place.type, std::span(place.dims).first(place.rank));
    if (place.bytes == wire::kNoSize || place.bytes > work.output_capacity) continue;
    place.offset = wire::Aligned(*end);
    *end = place.offset + place.bytes;
    placed[i] = true;
  }
  if (*end > work.output_capacity || !work.reserve_output(*end)) {
    return Error{"the outputs find no room in shared memory"};
  }
  for (std::size_t i = 0; i < layout->count; ++i) {
    if (!placed[i]) continue;
    const wire::TensorPlace& place = layout->tensors[i];
    auto made = runtime_.Check(runtime_.api().CreateTensorWithDataAsOrtValue(
        memory_, work.output + place.offset, place.bytes, place.dims.data(), place.rank,
        static_cast<ONNXTensorElementDataType>(place.type), &values->outputs[i]));
    if (!made) return made;
  }
  return {};
}

// The others were made by the runtime: their shape is known only now.
Result<void> OrtModel::CopyOutputs(const Work& work, wire::Layout* layout, std::uint64_t end,
                                   const Values& values) const {
  for (std::size_t i = 0; i < layout->count; ++i) {
    wire::TensorPlace& place = layout->tensors[i];
    if (place.offset != 0) continue;
    void* data = nullptr;
    if (auto read = ReadTensor(runtime_, values.outputs[i], &place, &data); !read) {
      return read;
    }
    place.offset = wire::Aligned(end);
    if (place.bytes > work.output_capacity || place.offset > work.output_capacity - place.bytes ||
        !work.reserve_output(place.offset + place.bytes)) {
      return Error{"the outputs find no room in shared memory"};
    }
    end = place.offset + place.bytes;
    if (place.bytes > 0) std::memcpy(work.output + place.offset, data, place.bytes);
  }
  return {};
}

}  // namespace stagger::executor
