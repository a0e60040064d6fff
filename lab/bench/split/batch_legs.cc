#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.h"
#include "base/try.h"
#include "lab/bench/split/frame_legs.h"
#include "wire/executor_channel.h"
#include "wire/listener.h"

namespace stagger::cli {
namespace {

constexpr int kPatienceMs = 5000;
constexpr const char* kNoAnswer = "the executor does not tell its status";

// What an executor says of its only model.
struct BatchStatus {
  double inferences = 0;
  double batched = 0;                         // of those
  std::vector<std::pair<int, double>> curve;  // items, ms
};

std::optional<BatchStatus> ParseBatchStatus(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("models") || json["models"].size() != 1) {
    return std::nullopt;
  }
  const nlohmann::json& model = json["models"][0];
  BatchStatus status;
  status.inferences = model.value("inferences", 0.0);
  status.batched = model.value("batched_inferences", 0.0);
  if (!model.contains("batching")) return std::nullopt;
  for (const nlohmann::json& point : model["batching"]) {
    status.curve.emplace_back(point.value("size", 0), point.value("ms", 0.0));
  }
  return status;
}

Result<BatchStatus> AskExecutor(const std::string& socket) {
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
  std::optional<BatchStatus> status = ParseBatchStatus(told->chunk);
  if (!status) return Error{"the executor does not have exactly one model"};
  return *std::move(status);
}

struct Leg {
  std::vector<RunnerReport> reports;
  BatchStatus half;
  BatchStatus end;  // nearly
  double fps() const {
    double sum = 0;
    for (const RunnerReport& report : reports) sum += report.fps;
    return sum;
  }
};

// Until the first app ends: then the model may go any time.
Result<std::vector<BatchStatus>> Watch(const std::string& socket, double seconds,
                                       Workplace& place) {
  std::vector<BatchStatus> seen;
  const TimePoint until = Now() + FromMs(seconds * 1000);
  while (Now() < until) {
    if (place.stop.Raised()) return Error{"stopped"};
    Result<BatchStatus> told = AskExecutor(socket);
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
  Result<std::vector<RunnerReport>> reports =
      plan.Run(place, [&](FrameLeg& frames) -> Result<void> {
        const auto seen = STAGGER_TRY(Watch(frames.executors().front(), runner.seconds, place));
        leg.half = seen[seen.size() / 2];
        leg.end = seen.back();
        return {};
      });
  if (!reports) return reports.error();
  leg.reports = std::move(reports).value();
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
  const double done = batched.end.inferences - batched.half.inferences;
  if (done > 0) result.batched_ratio = (batched.end.batched - batched.half.batched) / done;
  result.curve = batched.end.curve;
  result.same = true;
  for (const RunnerReport& report : batched.reports) {
    const Comparison comparison = Compare(bare.front(), report, 0);
    result.same = result.same && comparison.same && comparison.frames > 0;
  }
  return result;
}

}  // namespace stagger::cli
