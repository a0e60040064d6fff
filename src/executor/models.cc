#include "executor/models.h"

#include <fmt/core.h>

#include "base/clock.h"
#include "base/try.h"
#include "executor/shared_memory.h"

namespace stagger::executor {

std::string Models::KeyOf(const wire::Open& open) {
  return fmt::format("{} {}:{} {}", ToHex(open.model), open.runtime_device, open.runtime_inode,
                     open.options);
}

std::shared_ptr<ModelEntry> Models::Find(const wire::Open& open) {
  const auto found = entries_.find(KeyOf(open));
  return found == entries_.end() ? nullptr : found->second;
}

Result<std::shared_ptr<ModelEntry>> Models::Add(const wire::Open& open, UniqueFd bytes) {
  auto entry = std::make_shared<ModelEntry>();
  entry->bytes_fd = std::move(bytes);
  LoadJob& job = entry->job;
  job.key = KeyOf(open);
  job.bytes_fd = entry->bytes_fd.get();
  job.bytes = STAGGER_TRY(SizeOfSealed(job.bytes_fd));
  job.hash = open.model;
  job.runtime = {open.runtime, open.runtime_device, open.runtime_inode};
  job.options = open.options;
  entry->needed = Now();
  entries_[job.key] = entry;
  loader_.Start(job);
  return entry;
}

void Models::Need(ModelEntry& entry) {
  entry.needed = Now();
  if (entry.state != ModelEntry::State::kUnloaded) return;
  MakeRoom(entry, entry.memory);
  entry.state = ModelEntry::State::kLoading;
  loader_.Start(entry.job);
}

void Models::Drop(const std::shared_ptr<ModelEntry>& entry) {
  if (--entry->users > 0) return;
  // While it loads, the loader reads its bytes: Collect removes it then.
  if (entry->state != ModelEntry::State::kLoading) entries_.erase(entry->job.key);
}

std::vector<std::shared_ptr<ModelEntry>> Models::Collect() {
  std::vector<std::shared_ptr<ModelEntry>> finished;
  for (LoadResult& result : loader_.Take()) {
    const auto found = entries_.find(result.key);
    if (found == entries_.end()) continue;
    const std::shared_ptr<ModelEntry> entry = found->second;
    FinishLoad(*entry, std::move(result));
    if (entry->users == 0 || entry->state == ModelEntry::State::kFailed) entries_.erase(found);
    finished.push_back(entry);
  }
  return finished;
}

void Models::FinishLoad(ModelEntry& entry, LoadResult result) {
  if (result.model) {
    const bool first = entry.loads == 0;
    entry.model = std::move(result.model).value();
    if (first) {
      entry.memory = result.memory;
      entry.inputs = entry.model->inputs();
      entry.outputs = entry.model->outputs();
      entry.batch = entry.model->batch();
      const std::string& stub = entry.model->stub();
      Result<UniqueFd> file = SealedFile("stagger-stub", std::as_bytes(std::span(stub)));
      if (file) {
        entry.stub_fd = std::move(file).value();
      } else {
        result.model = file.error();
      }
    }
  }
  if (result.model && limit_ > 0 && entry.memory > limit_) {
    result.model = Error{fmt::format("it takes {} MB loaded, and models may take {} MB here",
                                     entry.memory >> 20, limit_ >> 20)};
  }
  if (!result.model) {
    entry.model.reset();
    entry.state = ModelEntry::State::kFailed;
    entry.error = result.model.error().message;
    return;
  }
  entry.state = ModelEntry::State::kReady;
  entry.runtime_version = result.runtime_version;
  entry.load_time = result.took;
  entry.load_total += result.took;
  ++entry.loads;
  MakeRoom(entry, 0);
}

void Models::MakeRoom(const ModelEntry& keep, std::uint64_t for_more) {
  while (limit_ > 0 && loaded_bytes() + for_more > limit_) {
    ModelEntry* oldest = nullptr;
    for (const auto& [key, entry] : entries_) {
      if (entry.get() == &keep || entry->state != ModelEntry::State::kReady) continue;
      if (oldest == nullptr || entry->needed < oldest->needed) oldest = entry.get();
    }
    if (oldest == nullptr) return;
    oldest->model.reset();
    oldest->state = ModelEntry::State::kUnloaded;
  }
}

std::uint64_t Models::loaded_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [key, entry] : entries_) {
    if (entry->state == ModelEntry::State::kReady) bytes += entry->memory;
  }
  return bytes;
}

}  // namespace stagger::executor
