// Frames through executors, for `bench split` and `bench share`: starting executors and
// frame-runners, and what those report.
#pragma once

#include <list>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "launch/child_process.h"
#include "launch/scratch_dir.h"
#include "launch/workplace.h"

namespace stagger::cli {

struct RunnerSpec {
  std::string model;  // "heavy", "pass": of those that came with the examples
  double seconds = 3;
  double fps = 0;  // 0: as fast as it can
  int batch = 1;
  int core = -1;                       // -1: anywhere
  std::vector<std::string> executors;  // sockets; empty: bare
  int pipeline = 0;
};

struct RunnerReport {
  double fps = 0;                            // items per second
  double p50_ms = 0;                         // of a call
  std::vector<std::vector<double>> results;  // of the first frames
};

// Runners and executors of one leg; all are stopped and reaped when it goes.
class FrameLeg {
 public:
  static Result<FrameLeg> Make(Workplace& place);

  // On one core; returns its socket once it listens. `max_batch`: 0 leaves it to the executor.
  Result<std::string> StartExecutor(int core, int max_batch = 0);
  Result<void> StartRunner(const RunnerSpec& spec);
  // Until every runner has said that it is warm; an error after 60 s.
  Result<void> AwaitReady();
  // Until all runners have ended.
  Result<std::vector<RunnerReport>> Finish();

  // Proportional set size of all processes of the leg, bytes.
  Result<double> ProportionalSize();

 private:
  struct Runner {
    ChildProcess process;
    std::string out;
    std::string results;
  };
  FrameLeg(Workplace& place, ScratchDir dir, std::string agent)
      : place_(&place), dir_(std::move(dir)), agent_(std::move(agent)) {}

  Workplace* place_;
  ScratchDir dir_;
  std::string agent_;
  std::list<ChildProcess> executors_;
  std::list<Runner> runners_;
};

// Whether `shifted` frame i is `bare` frame i - shift, within 1e-5 of its size, and how many frames
// were compared.
struct Comparison {
  bool same = true;
  int frames = 0;
};
Comparison Compare(const RunnerReport& bare, const RunnerReport& other, int shift);

// The first two cores we may run on; an error if there is but one.
Result<std::pair<int, int>> TwoCores();

}  // namespace stagger::cli
