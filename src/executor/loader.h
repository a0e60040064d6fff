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
#include "executor/device_memory.h"

namespace stagger::executor {

struct LoadJob {
  std::string key;
  int bytes_fd = -1;  // stays open until the job is done
  std::uint64_t bytes = 0;
  Sha256 hash{};
  RuntimeFile runtime;
  std::string options;
};

struct LoadResult {
  std::string key;
  Result<std::unique_ptr<Model>> model = Error{"not loaded"};
  std::string runtime_version;
  Duration took{};
  // Of the device's: what this process grew by, at least the model's bytes.
  std::uint64_t memory = 0;
};

class Loader {
 public:
  Loader(std::vector<std::unique_ptr<Backend>> backends, const DeviceMemory* memory);
  ~Loader();  // waits for the job that runs
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int done_fd() const { return done_fd_.get(); }  // readable: Take has something
  void Start(LoadJob job);
  std::vector<LoadResult> Take();

 private:
  void Main();
  LoadResult Load(const LoadJob& job);
  Result<Backend*> BackendOf(const RuntimeFile& runtime, std::string* version);

  UniqueFd done_fd_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<LoadJob> jobs_;
  std::vector<LoadResult> done_;
  bool stop_ = false;
  // The loader's thread only.
  std::vector<std::unique_ptr<Backend>> backends_;
  const DeviceMemory* memory_;
  std::thread thread_;
};

}  // namespace stagger::executor
