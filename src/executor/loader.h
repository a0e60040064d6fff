// Loads models on a thread of its own, one after the other, so that a load holds up nobody's
// inference but the new one's. Everything but the loading itself is for the executor's thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/sha256.h"
#include "base/time.h"
#include "executor/backend.h"
#include "executor/ort_model.h"
#include "executor/runtime.h"

namespace stagger::executor {

// What this process has in memory, bytes.
std::uint64_t ResidentBytes();
// Of the machine's memory, what nobody has taken, as the kernel estimates it; 0: not known.
std::uint64_t AvailableBytes();

struct LoadJob {
  std::string key;
  int bytes_fd = -1;  // stays open until the job is done
  std::uint64_t bytes = 0;
  Sha256 hash{};
  std::string runtime;
  std::uint64_t runtime_device = 0;
  std::uint64_t runtime_inode = 0;
  OrtSettings settings;
};

struct LoadResult {
  std::string key;
  Result<std::unique_ptr<Model>> model = Error{"not loaded"};
  std::string runtime_version;
  Duration took{};
  std::uint64_t memory = 0;  // what the process grew by, at least the model's bytes
};

class Loader {
 public:
  Loader();
  ~Loader();  // waits for the job that runs
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int done_fd() const { return done_fd_.get(); }  // readable: Take has something
  void Start(LoadJob job);
  std::vector<LoadResult> Take();

 private:
  void Main();
  LoadResult Load(const LoadJob& job);

  UniqueFd done_fd_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<LoadJob> jobs_;
  std::vector<LoadResult> done_;
  bool stop_ = false;
  Runtimes runtimes_;  // the loader's thread only
  std::thread thread_;
};

}  // namespace stagger::executor
