#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/try.h"
#include "documents/executor.h"
#include "documents/json.h"
#include "lab/bench/split/frame_legs.h"
#include "wire/executor_channel.h"
#include "wire/listener.h"

namespace stagger::cli {
namespace {

constexpr int kPatienceMs = 5000;
constexpr const char* kNoAnswer = "the executor does not tell its status";

// What an executor says of its only model.
Result<documents::ExecutorModel> AskExecutor(const std::string& socket) {
  const UniqueFd fd = STAGGER_TRY(wire::Connect(socket));
  if (wire::Send(fd.get(), wire::ExecutorMessage{wire::StatusRequest{}}) != wire::Io::kOk) {
    return Error{kNoAnswer};
  }
  pollfd entry{fd.get(), POLLIN, 0};
  wire::ExecutorMessage message;
  wire::Descriptors none;
  if (poll(&entry, 1, kPatienceMs) <= 0 ||
      wire::Receive(fd.get(), &message, &none) != wire::Io::kOk) {
    return Error{kNoAnswer};
  }
  const auto* told = std::get_if<wire::StatusReply>(&message);
  if (told == nullptr) return Error{kNoAnswer};
  const auto status =
      documents::Read<documents::Executor>(nlohmann::json::parse(told->chunk, nullptr, false));
  if (status.models.size() != 1) return Error{"the executor does not have exactly one model"};
  return status.models.front();
}

struct Leg {
  std::vector<RunnerReport> reports;
  documents::ExecutorModel half;
  documents::ExecutorModel end;  // nearly
  double fps() const {
    double sum = 0;
    for (const RunnerReport& report : reports) sum += report.fps;
    return sum;
  }
};

// Until the first app ends: then the model may go any time.
Result<std::vector<documents::ExecutorModel>> Watch(const std::string& socket, double seconds,
                                                    Workplace& place) {
  std::vector<documents::ExecutorModel> seen;
  const TimePoint until = Now() + FromMs(seconds * 1000);
  while (Now() < until) {
    if (place.stop.Raised()) return Error{"stopped"};
    Result<documents::ExecutorModel> told = AskExecutor(socket);
    if (!told && seen.empty()) return told.error();
    if (!told) break;
    seen.push_back(std::move(told).value());
    usleep(100'000);
  }
  return seen;
}

Result<Leg> RunLeg(const RunnerSpec& runner, int apps, int executor_core, int max_batch,
                   Workplace& place) {
  Leg leg;
  const FramePlan plan{
      std::vector(static_cast<std::size_t>(apps), runner), {executor_core}, max_batch};
  leg.reports = STAGGER_TRY(plan.Run(place, [&](FrameLeg& frames) -> Result<void> {
    const auto seen = STAGGER_TRY(Watch(frames.executors().front(), runner.seconds, place));
    leg.half = seen[seen.size() / 2];
    leg.end = seen.back();
    return {};
  }));
  return leg;
}

}  // namespace

Result<BatchComparison> CompareBatches(const std::string& model, int apps, double seconds,
                                       std::pair<int, int> cores, Workplace& place) {
  RunnerSpec spec;
  spec.model = model;
  spec.core = cores.first;
  spec.seconds = 0.5;
  const std::vector<RunnerReport> bare = STAGGER_TRY(FramePlan{{spec}}.Run(place));
  spec.seconds = seconds;
  const Leg serial = STAGGER_TRY(RunLeg(spec, apps, cores.second, 1, place));
  const Leg batched = STAGGER_TRY(RunLeg(spec, apps, cores.second, 0, place));
  BatchComparison result;
  result.serial_fps = serial.fps();
  result.batched_fps = batched.fps();
  const auto gained = [&](auto member) {
    return static_cast<double>(batched.end.*member) - static_cast<double>(batched.half.*member);
  };
  const double done = gained(&documents::ExecutorModel::inferences);
  if (done > 0) {
    result.batched_ratio = gained(&documents::ExecutorModel::batched_inferences) / done;
  }
  result.curve = batched.end.batching;
  result.same = true;
  for (const RunnerReport& report : batched.reports) {
    const Comparison comparison = Compare(bare.front(), report, 0);
    result.same = result.same && comparison.same && comparison.frames > 0;
  }
  return result;
}

}  // namespace stagger::cli
