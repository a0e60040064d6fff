#include "executor/loader.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "base/clock.h"
#include "executor/shared_memory.h"

namespace stagger::executor {

std::uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t AvailableBytes() {
  std::ifstream facts("/proc/meminfo");
  std::string field;
  std::uint64_t kib = 0;
  while (facts >> field >> kib) {
    if (field == "MemAvailable:") return kib << 10;
    facts.ignore(64, '\n');
  }
  return 0;
}

Loader::Loader() : done_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), thread_([this] { Main(); }) {}

Loader::~Loader() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  thread_.join();
}

void Loader::Start(LoadJob job) {
  {
    const std::scoped_lock lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  work_.notify_all();
}

std::vector<LoadResult> Loader::Take() {
  std::uint64_t count = 0;
  if (read(done_fd_.get(), &count, sizeof count) < 0) return {};
  const std::scoped_lock lock(mutex_);
  return std::exchange(done_, {});
}

void Loader::Main() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    const LoadJob job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    LoadResult result = Load(job);
    lock.lock();
    done_.push_back(std::move(result));
    const std::uint64_t one = 1;
    if (write(done_fd_.get(), &one, sizeof one) < 0) return;  // cannot happen: the counter is small
  }
}

LoadResult Loader::Load(const LoadJob& job) {
  LoadResult result;
  result.key = job.key;
  const TimePoint start = Now();
  const std::uint64_t before = ResidentBytes();
  const Result<Mapping> mapping = MapShared(job.bytes_fd, job.bytes, false);
  if (!mapping) {
    result.model = mapping.error();
    return result;
  }
  if (HashOf(mapping->bytes()) != job.hash) {
    result.model = Error{"the model's bytes are not what they were said to be"};
    return result;
  }
  const Result<Runtime*> runtime =
      runtimes_.Get(job.runtime, job.runtime_device, job.runtime_inode);
  if (!runtime) {
    result.model = runtime.error();
    return result;
  }
  result.runtime_version = (*runtime)->version();
  result.model = OrtModel::Load(**runtime, mapping->bytes(), job.settings);
  result.took = Now() - start;
  const std::uint64_t after = ResidentBytes();
  result.memory = std::max(after - std::min(after, before), job.bytes);
  return result;
}

}  // namespace stagger::executor
