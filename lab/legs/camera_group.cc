#include "lab/legs/camera_group.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "base/try.h"
#include "launch/private_daemon.h"

namespace stagger::cli {
namespace {

constexpr Duration kStopGrace = std::chrono::seconds{2};
constexpr double kOverrun = 30;  // seconds a camera may take beyond its time

const Error kInterrupted{"interrupted"};

class CameraGroup {
 public:
  CameraGroup(const ScratchDir& dir, const LegTools& tools) : dir_(dir), tools_(tools) {}
  ~CameraGroup() {
    std::vector<ChildProcess*> processes;
    for (Camera& camera : cameras_) processes.push_back(&camera.process);
    StopAll(processes, kStopGrace);
  }
  CameraGroup(const CameraGroup&) = delete;
  CameraGroup& operator=(const CameraGroup&) = delete;

  Result<void> Start(const std::vector<CameraApp>& apps);
  Result<void> AwaitReady(Duration limit);
  Result<void> Go(const std::string& word);
  Result<void> Attend(const CameraRun& run);
  Result<std::vector<AppRecord>> Records() const;

 private:
  struct Camera {
    std::string name;
    ChildProcess process;
    std::size_t read = 0;   // bytes of its samples
    std::size_t lines = 0;  // in them
  };
  Error Failed(const Camera& camera, const ExitStatus& status) const;
  // Samples written so far; reads what was appended since it was last asked.
  std::size_t CountSamples();

  const ScratchDir& dir_;
  const LegTools& tools_;
  std::vector<Camera> cameras_;
};

Result<AppRecord> ReadRecord(const std::string& name, const ScratchDir& dir) {
  AppRecord record;
  std::ifstream summary(dir.File(name + ".json"));
  const nlohmann::json json = nlohmann::json::parse(summary, nullptr, /*allow_exceptions=*/false);
  const auto count = [&](const char* key) {
    return json.is_object() && json.contains(key) && json[key].is_number_integer()
               ? json[key].get<std::int64_t>()
               : -1;
  };
  record.frames = count("frames");
  record.done = count("done");
  if (record.frames < 0 || record.done < 0) {
    return Error{fmt::format("{} left no summary to read", name)};
  }
  std::ifstream samples(dir.File(name + ".csv"));
  for (std::string line; std::getline(samples, line);) {
    if (const std::optional<Sample> sample = ParseSample(line)) record.samples.push_back(*sample);
  }
  return record;
}

Result<void> CameraGroup::Start(const std::vector<CameraApp>& apps) {
  for (const CameraApp& app : apps) {
    ChildSpec spec;
    spec.path = app.path;
    spec.argv = {app.path.substr(app.path.rfind('/') + 1)};
    spec.argv.insert(spec.argv.end(), app.arguments.begin(), app.arguments.end());
    for (const auto& [flag, suffix] :
         {std::pair{"--samples", ".csv"}, std::pair{"--ready-file", ".ready"}}) {
      spec.argv.insert(spec.argv.end(), {flag, dir_.File(app.name + suffix)});
    }
    spec.argv.insert(spec.argv.end(), {"--wait-for", dir_.File("go")});
    const std::string summary = dir_.File(app.name + ".json");
    if (!app.summary_on_stdout) spec.argv.insert(spec.argv.end(), {"--json-out", summary});
    spec.out_file = app.summary_on_stdout ? summary : dir_.File(app.name + ".out");
    spec.err_file = dir_.File(app.name + ".err");
    spec.environment = app.environment;
    cameras_.push_back({app.name, STAGGER_TRY(ChildProcess::Start(spec, tools_.keeper))});
  }
  return {};
}

Error CameraGroup::Failed(const Camera& camera, const ExitStatus& status) const {
  return Error{fmt::format("{} ended early ({}): {}", camera.name, ToString(status),
                           LastLine(dir_.File(camera.name + ".err")))};
}

Result<void> CameraGroup::AwaitReady(Duration limit) {
  const TimePoint deadline = Now() + limit;
  for (Camera& camera : cameras_) {
    while (access(dir_.File(camera.name + ".ready").c_str(), F_OK) != 0) {
      if (const auto status = camera.process.Poll()) return Failed(camera, *status);
      if (Now() > deadline) {
        return Error{
            fmt::format("{} was not ready within {:.0f} s", camera.name, ToMs(limit) / 1000)};
      }
      if (tools_.stop.WaitFor(std::chrono::milliseconds{20})) return kInterrupted;
    }
  }
  return {};
}

Result<void> CameraGroup::Go(const std::string& word) {
  const std::string part = dir_.File("go.part");
  {
    std::ofstream file(part);
    file << word << '\n';
  }
  // Whole or not at all: they look for it all the time.
  if (std::rename(part.c_str(), dir_.File("go").c_str()) != 0) {
    return Error{"cannot write the file that the cameras wait for; is the disk full?"};
  }
  return {};
}

Result<void> CameraGroup::Attend(const CameraRun& run) {
  const TimePoint start = Now();
  for (bool running = true; running;) {
    if (tools_.stop.WaitFor(std::chrono::milliseconds{100})) return kInterrupted;
    const double elapsed = ToMs(Now() - start) / 1000;
    if (elapsed > run.seconds + kOverrun) {
      return Error{fmt::format("cameras still ran {:.0f} s after their time was up", kOverrun)};
    }
    if (run.tick) {
      if (Result<void> ticked = run.tick(elapsed); !ticked) return ticked;
    }
    if (tools_.progress) {
      tools_.progress({run.leg, std::min(elapsed, run.seconds), run.seconds, CountSamples()});
    }
    running = false;
    for (Camera& camera : cameras_) {
      const std::optional<ExitStatus> ended = camera.process.Poll();
      if (ended && !ended->ok()) return Failed(camera, *ended);
      running = running || !ended;
    }
  }
  return {};
}

Result<std::vector<AppRecord>> CameraGroup::Records() const {
  std::vector<AppRecord> records;
  for (const Camera& camera : cameras_) {
    records.push_back(STAGGER_TRY(ReadRecord(camera.name, dir_)));
  }
  return records;
}

std::size_t CameraGroup::CountSamples() {
  std::size_t samples = 0;
  for (Camera& camera : cameras_) {
    std::ifstream file(dir_.File(camera.name + ".csv"));
    file.seekg(static_cast<std::streamoff>(camera.read));
    char buffer[4096];
    while (file.read(buffer, sizeof buffer), file.gcount() > 0) {
      camera.read += static_cast<std::size_t>(file.gcount());
      camera.lines += static_cast<std::size_t>(std::count(buffer, buffer + file.gcount(), '\n'));
    }
    if (camera.lines > 0) samples += camera.lines - 1;  // less the header
  }
  return samples;
}

}  // namespace

Result<std::vector<AppRecord>> RunCameras(const CameraRun& run, const ScratchDir& dir,
                                          const LegTools& tools) {
  CameraGroup cameras(dir, tools);
  if (tools.progress) tools.progress({run.leg, 0, run.seconds, 0});
  if (auto started = cameras.Start(run.apps); !started) return started.error();
  if (auto ready = cameras.AwaitReady(run.warmup_limit); !ready) return ready.error();
  if (auto gone = cameras.Go(STAGGER_TRY(run.start())); !gone) return gone.error();
  if (auto attended = cameras.Attend(run); !attended) return attended.error();
  return cameras.Records();
}

}  // namespace stagger::cli
