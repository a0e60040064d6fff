// stagger replay: what a daemon recorded, run through this version's engine again.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/verbs.h"
#include "console/arguments.h"
#include "console/yaml_reader.h"
#include "record/recording.h"
#include "record/trace_file.h"

namespace stagger::cli {
namespace {

constexpr std::size_t kMaxRecordingMib = 4096;

int Failed(const std::string& message) {
  PrintError("replay: " + message);
  return kExitFailed;
}

void PrintJson(const record::Recording& recording, const record::Replayed& replayed) {
  nlohmann::ordered_json json{{"steps", replayed.steps},
                              {"actions", replayed.actions},
                              {"cut_off", recording.cut_off},
                              {"identical", !replayed.first_difference},
                              {"first_difference", nullptr}};
  if (const auto& difference = replayed.first_difference) {
    json["first_difference"] = {{"step", difference->step + 1},
                                {"recorded", nlohmann::ordered_json::parse(difference->recorded)},
                                {"replayed", nlohmann::ordered_json::parse(difference->replayed)}};
  }
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

int ReplayVerb(const Arguments& arguments) {
  CLI::App app{
      "Runs the events of a recording (staggerd --record FILE) through the engine again, and says "
      "whether it does what it did.",
      "stagger replay"};
  std::string path;
  bool as_json = false;
  bool steps = false;
  std::string trace;
  app.add_option("recording", path, "a file written by staggerd --record")->required();
  app.add_flag("--steps", steps, "print the steps, one line of JSON each");
  app.add_option("--trace", trace, "write a Chrome trace to this file, which Perfetto opens");
  app.add_flag("--json", as_json, "one JSON object instead of a sentence");
  app.footer("exit code 1: the engine did something else, or the file is no recording");
  if (const auto code = ParseArguments(app, arguments)) return *code;

  const Result<std::string> text = ReadTextFile(path, "a recording", kMaxRecordingMib);
  if (!text) return Failed(text.error().message);
  const Result<record::Recording> recording = record::Parse(*text);
  if (!recording) return Failed(path + ": " + recording.error().message);
  if (!trace.empty()) {
    if (const Result<void> written = record::WriteTrace(recording.value(), trace); !written) {
      return Failed(written.error().message);
    }
  }
  const Result<record::Replayed> replayed = record::Replay(recording.value());
  if (!replayed) return Failed(path + ": " + replayed.error().message);
  if (steps) {
    for (const record::Step& step : recording.value().steps) fmt::print("{}\n", ToLine(step));
  }
  const auto& difference = replayed.value().first_difference;
  if (as_json) {
    PrintJson(recording.value(), replayed.value());
  } else if (!steps) {
    fmt::print("{} steps, {} actions{}: {}\n", replayed.value().steps, replayed.value().actions,
               recording.value().cut_off ? " (the last line is cut off)" : "",
               difference ? "not the same" : "the same again");
    if (difference) {
      fmt::print("first difference in step {}\n  recorded {}\n  replayed {}\n",
                 difference->step + 1, difference->recorded, difference->replayed);
    }
  }
  return difference ? kExitFailed : kExitOk;
}

}  // namespace stagger::cli
