#include <unistd.h>

#include <cstddef>

#include "base/sha256.h"
#include "documents/executor.h"
#include "documents/json.h"
#include "executor/server.h"
#include "wire/text.h"

namespace stagger::executor {
namespace {

constexpr std::size_t kMostTold = 200;  // of a kind
constexpr std::size_t kLongestStatus = wire::kMaxPacket - 1024;

documents::ExecutorModel ModelOf(const ModelEntry& entry) {
  constexpr const char* kStates[] = {"loading", "ready", "unloaded", "failed"};
  documents::ExecutorModel model;
  model.hash = ToHex(entry.job.hash);
  model.options = entry.job.options;
  model.runtime = entry.runtime_version;
  model.state = kStates[static_cast<int>(entry.state)];
  model.file_bytes = entry.job.bytes;
  model.memory_bytes = entry.memory;
  model.load_ms = ToMs(entry.load_time);
  model.load_ms_total = ToMs(entry.load_total);
  model.loads = entry.loads;
  model.slots = entry.users;
  model.inferences = entry.runs;
  if (entry.runs > 0) model.body_ms = ToMs(entry.body_total) / static_cast<double>(entry.runs);
  model.batch = entry.batch;
  model.batches = entry.batches;
  model.batched_inferences = entry.batched;
  if (!entry.why_no_batches.empty()) model.no_batches_because = entry.why_no_batches;
  if (!entry.batch) return model;
  for (const batching::BatchCurve::Point& point : entry.curve.points()) {
    model.batching.push_back({point.items, ToMs(point.typical)});
  }
  return model;
}

}  // namespace

std::string Server::Status() const {
  documents::Executor status;
  status.device = settings_.target.name;
  status.max_batch = settings_.max_batch;
  status.share = settings_.share;
  status.pid = getpid();
  status.shared_memory_bytes = budget_.taken;
  status.model_memory_bytes = models_.loaded_bytes();
  status.resident_bytes = ResidentBytes();
  status.available_bytes = AvailableBytes();
  status.pace_ratio = measurements_.pace();
  status.inferences = measurements_.inferences();
  for (const auto& [name, app] : measurements_.Apps()) {
    if (status.apps.size() == kMostTold) break;
    status.apps.push_back({name, app.inferences, app.samples, ToMs(app.body)});
  }
  for (const auto& [key, entry] : models_.all()) status.models.push_back(ModelOf(*entry));
  status.slots = Slots(kMostTold);
  // One packet, whatever is in it: what planning needs before what people look at.
  std::string text = documents::ToText(status);
  const auto leave_out = [&](auto& list) {
    if (text.size() <= kLongestStatus) return;
    list.clear();
    text = documents::ToText(status);
  };
  leave_out(status.slots);
  leave_out(status.models);
  return text;
}

}  // namespace stagger::executor
