// The models of an executor: one per (content, options, runtime), for all apps. Where memory is
// short of all of them, those least recently needed are unloaded, and loaded again when needed.
// Used by the executor's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/time.h"
#include "batching/batch_curve.h"
#include "executor/loader.h"
#include "wire/executor_messages.h"

namespace stagger::executor {

struct ModelEntry {
  enum class State : std::uint8_t { kLoading, kReady, kUnloaded, kFailed };

  LoadJob job;
  UniqueFd bytes_fd;  // the model, sealed; apps map it too
  UniqueFd stub_fd;   // once loaded for the first time
  State state = State::kLoading;
  std::unique_ptr<Model> model;  // while kReady
  std::string error;             // if kFailed
  std::string runtime_version;
  std::uint64_t memory = 0;  // loaded; measured at the first load
  Duration load_time{};      // the last
  Duration load_total{};     // of all
  int loads = 0;
  TimePoint needed;  // last
  int users = 0;     // slots
  std::uint64_t runs = 0;
  Duration body_total{};
  // What arenas need to know, kept while unloaded.
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  bool batch = false;
  // How long so many items take; without batches everything counts as one.
  batching::BatchCurve curve;
  std::uint64_t batches = 0;     // of two requests or more
  std::uint64_t batched = 0;     // requests in them
  std::string why_no_batches{};  // what went wrong: from then on each runs alone
};

class Models {
 public:
  explicit Models(const Target& target)
      : limit_(target.memory),
        memory_(DeviceMemory::Of(target)),
        loader_(MakeBackends(target), memory_.get()) {}

  int done_fd() const { return loader_.done_fd(); }

  std::shared_ptr<ModelEntry> Find(const wire::Open& open);
  // Starts loading it. An error if the bytes did not come as sealed memory.
  Result<std::shared_ptr<ModelEntry>> Add(const wire::Open& open, UniqueFd bytes);
  // It is needed now: loaded again, if it was unloaded, in the place of others where it must.
  void Need(ModelEntry& entry);
  // One user fewer; without any it goes.
  void Drop(const std::shared_ptr<ModelEntry>& entry);
  // Loads that have ended: their entries are kReady or kFailed now.
  std::vector<std::shared_ptr<ModelEntry>> Collect();

  std::uint64_t loaded_bytes() const;
  const std::map<std::string, std::shared_ptr<ModelEntry>>& all() const { return entries_; }

 private:
  static std::string KeyOf(const wire::Open& open);
  void FinishLoad(ModelEntry& entry, LoadResult result);
  void MakeRoom(const ModelEntry& keep, std::uint64_t for_more);

  std::uint64_t limit_;
  std::unique_ptr<DeviceMemory> memory_;  // the loader's thread asks it
  std::map<std::string, std::shared_ptr<ModelEntry>> entries_;
  Loader loader_;  // goes first: it reads the entries' descriptors
};

}  // namespace stagger::executor
