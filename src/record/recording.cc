#include "record/recording.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "base/try.h"
#include "record/event_json.h"

namespace stagger::record {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

ordered_json ActionsJson(std::span<const core::Action> actions) {
  ordered_json list = ordered_json::array();
  for (const core::Action& action : actions) list.push_back(ToJson(action));
  return list;
}

std::string Line(TimePoint at, const core::Event& event, std::span<const core::Action> actions) {
  ordered_json line{{"at_ns", at.since_epoch.count()}};
  line.update(ToJson(event));
  line["actions"] = ActionsJson(actions);
  // A name is whatever an app called itself: bytes that are no text must not end the recording.
  return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string ToLine(const Step& step) { return Line(step.at, step.event, step.actions); }

Result<Recorder> Recorder::Create(const std::string& path, const core::EngineConfig& config) {
  // "x": a recording that is there already may be the only trace of a fault.
  std::FILE* file = std::fopen(path.c_str(), "wxe");
  if (file == nullptr) {
    return Error{"cannot record to " + path + ": " + std::strerror(errno)};
  }
  auto recorder = Over(file, config);
  if (!recorder) return Error{"cannot record to " + path + ": " + recorder.error().message};
  return recorder;
}

Result<Recorder> Recorder::Over(std::FILE* file, const core::EngineConfig& config) {
  Recorder recorder(file);
  ordered_json header{{"stagger_recording", kFormat}, {"config", ToJson(config)}};
  if (!recorder.Write(header.dump())) return Error{recorder.failure_};
  return recorder;
}

bool Recorder::Add(const core::Event& event, TimePoint now, std::span<const core::Action> actions) {
  if (!failure_.empty()) return false;
  return Write(Line(now, event, actions));
}

bool Recorder::Write(const std::string& line) {
  // Each line reaches the kernel whole: a daemon that is killed leaves all steps that came so far.
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() &&
      std::fputc('\n', file_.get()) != EOF && std::fflush(file_.get()) == 0) {
    return true;
  }
  failure_ = std::strerror(errno);
  return false;
}

Result<Recording> Parse(const std::string& text) {
  Recording recording;
  std::size_t number = 0;
  bool header = false;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    ++number;
    if (end == std::string::npos) {
      recording.cut_off = true;
      break;
    }
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    try {
      const json parsed = json::parse(line);
      if (number == 1) {
        if (parsed.at("stagger_recording") != kFormat) {
          return Error{"line 1: a recording of another version; expected format " +
                       std::to_string(kFormat)};
        }
        recording.config = ConfigFrom(parsed.at("config"));
        header = true;
        continue;
      }
      Step step{
          TimePoint{Duration{parsed.at("at_ns").get<Duration::rep>()}}, EventFrom(parsed), {}};
      for (const json& action : parsed.at("actions")) step.actions.push_back(ActionFrom(action));
      recording.steps.push_back(std::move(step));
    } catch (const std::exception& e) {
      return Error{"line " + std::to_string(number) + ": not a step of a recording: " + e.what()};
    }
  }
  if (!header) return Error{"line 1: no header; expected a file written by staggerd --record"};
  return recording;
}

Result<Replayed> Replay(const Recording& recording) {
  core::Engine engine = STAGGER_TRY(core::Engine::Create(recording.config));
  Replayed result;
  for (const Step& step : recording.steps) {
    const std::vector<core::Action> actions = engine.Step(step.event, step.at);
    result.actions += actions.size();
    if (actions != step.actions && !result.first_difference) {
      result.first_difference = {result.steps, ActionsJson(step.actions).dump(),
                                 ActionsJson(actions).dump()};
    }
    ++result.steps;
  }
  return result;
}

}  // namespace stagger::record
