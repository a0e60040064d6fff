#include "executor/loader.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "executor/shared_memory.h"

namespace stagger::executor {

Loader::Loader(std::vector<std::unique_ptr<Backend>> backends, const DeviceMemory* memory)
    : done_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      backends_(std::move(backends)),
      memory_(memory),
      thread_([this] { Main(); }) {}

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
  const DeviceMemory::Reading before = memory_->Read();
  const Result<Mapping> mapping = MapShared(job.bytes_fd, job.bytes, false);
  if (!mapping) {
    result.model = mapping.error();
    return result;
  }
  if (HashOf(mapping->bytes()) != job.hash) {
    result.model = Error{"the model's bytes are not what they were said to be"};
    return result;
  }
  const Result<Backend*> backend = BackendOf(job.runtime, &result.runtime_version);
  if (!backend) {
    result.model = backend.error();
    return result;
  }
  result.model = (*backend)->Load(job.runtime, {mapping->bytes(), job.options});
  result.took = Now() - start;
  result.memory = std::max(Growth(before, memory_->Read()), job.bytes);
  return result;
}

// The first that knows what to do with the file.
Result<Backend*> Loader::BackendOf(const RuntimeFile& runtime, std::string* version) {
  Error error{"this executor knows no framework"};
  for (const auto& backend : backends_) {
    Result<std::string> opened = backend->Open(runtime);
    if (opened) {
      *version = std::move(opened).value();
      return backend.get();
    }
    error = opened.error();
  }
  return error;
}

}  // namespace stagger::executor
