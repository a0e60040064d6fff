// What an engine was told and what it said, as lines of JSON: a header with the engine's
// configuration, then one line per event with its time (ns, the monotonic clock of the machine) and
// the actions that followed. Replaying the events through a new engine must give the same actions,
// so a fault in the field becomes a test.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/engine.h"

namespace stagger::record {

inline constexpr int kFormat = 1;

struct Step {
  TimePoint at;
  core::Event event;
  std::vector<core::Action> actions;
};

struct Recording {
  core::EngineConfig config;
  std::vector<Step> steps;
  bool cut_off =
      false;  // its last line is not whole: the recorder was killed, or the disk was full
};

// Writes to a file as steps are added. A failing disk ends the recording, never the recorder.
class Recorder {
 public:
  // Error: the file exists already or cannot be made.
  static Result<Recorder> Create(const std::string& path, const core::EngineConfig& config);
  // Writes to an open file, which becomes its own.
  static Result<Recorder> Over(std::FILE* file, const core::EngineConfig& config);

  // False once nothing more can be written; the reason is in failure().
  bool Add(const core::Event& event, TimePoint now, std::span<const core::Action> actions);
  const std::string& failure() const { return failure_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit Recorder(std::FILE* file) : file_(file) {}
  bool Write(const std::string& line);

  std::unique_ptr<std::FILE, Close> file_;
  std::string failure_;
};

// Error: with the line's number, what was expected there.
Result<Recording> Parse(const std::string& text);

struct Difference {
  std::size_t step;      // index into Recording::steps
  std::string recorded;  // the actions as JSON
  std::string replayed;
};

struct Replayed {
  std::size_t steps = 0;
  std::size_t actions = 0;
  std::optional<Difference> first_difference;
};

// Error: a configuration that the engine refuses.
Result<Replayed> Replay(const Recording& recording);

// One line of JSON, as in the file.
std::string ToLine(const Step& step);

}  // namespace stagger::record
