// Frames through executors, for `bench split`, `share` and `rates`: frame-runners, what they send
// their inferences to, and what they report.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "documents/executor.h"
#include "launch/child_process.h"
#include "launch/scratch_dir.h"
#include "launch/workplace.h"

namespace stagger::cli {

struct RunnerSpec {
  std::string model;  // "heavy", "pass": of those that came with the examples
  double seconds = 3;
  double fps = 0;  // 0: as fast as it can
  int batch = 1;
  int core = -1;  // -1: anywhere
  int pipeline = 0;
  std::optional<StreamSettings> stream{};  // for a runner under the daemon at `daemon`
  std::string daemon{};
  std::string calls{};  // a file for its calls, one a line; empty: none
};

struct RunnerReport {
  double fps = 0;                            // items per second
  double p50_ms = 0;                         // of a call
  std::vector<std::vector<double>> results;  // of the first frames
};

// Runners and executors of one leg; all are stopped and reaped when it goes.
class FrameLeg {
 public:
  const std::vector<std::string>& executors() const { return sockets_; }
  // Proportional set size of all processes of the leg, bytes.
  Result<double> ProportionalSize() const;

 private:
  friend struct FramePlan;
  struct Runner {
    ChildProcess process;
    std::string out;
    std::string results;
  };
  FrameLeg(Workplace& place, ScratchDir dir) : place_(&place), dir_(std::move(dir)) {}
  Result<void> StartExecutor(int core, int max_batch);
  Result<void> StartRunner(const RunnerSpec& spec);
  Result<void> AwaitReady();
  Result<std::vector<RunnerReport>> Finish();

  Workplace* place_;
  ScratchDir dir_;
  std::vector<std::string> sockets_;
  std::list<ChildProcess> executors_;
  std::list<Runner> runners_;
  double seconds_ = 0;  // of the longest runner
};

struct FramePlan {
  std::vector<RunnerSpec> runners;
  std::vector<int> executors{};  // one per core named here; every runner sends its inferences there
  int max_batch = 0;             // of executors; 0 leaves it to them

  // Until all runners have ended. `meanwhile` is called once all are warm.
  Result<std::vector<RunnerReport>> Run(
      Workplace& place, const std::function<Result<void>(FrameLeg&)>& meanwhile = {}) const;
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

struct BatchComparison {
  double serial_fps = 0;     // --max-batch 1
  double batched_fps = 0;    // as an executor does by itself
  double batched_ratio = 0;  // of the inferences of the second half: in batches
  bool same = false;         // every app's results as bare, within 1e-5
  std::vector<documents::BatchPoint> curve;
};

// `apps` runners of `model` on one core, their executor on the other; `seconds` each way.
Result<BatchComparison> CompareBatches(const std::string& model, int apps, double seconds,
                                       std::pair<int, int> cores, Workplace& place);

}  // namespace stagger::cli
