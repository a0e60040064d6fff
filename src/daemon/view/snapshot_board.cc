#include "daemon/view/snapshot_board.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "base/clock.h"

namespace stagger::daemon {

Result<std::unique_ptr<SnapshotBoard>> SnapshotBoard::Create() {
  UniqueFd asked(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!asked.valid()) return Error{"cannot make an eventfd"};
  return std::unique_ptr<SnapshotBoard>(new SnapshotBoard(std::move(asked)));
}

std::shared_ptr<const Snapshot> SnapshotBoard::Read(Duration limit) {
  const TimePoint asked_at = Now();
  const auto fresh = [&] { return latest_ != nullptr && asked_at - latest_->taken <= kMaxAge; };
  std::unique_lock lock(mutex_);
  if (fresh()) return latest_;
  const std::uint64_t one = 1;
  if (write(asked_.get(), &one, sizeof one) < 0) return latest_;
  published_.wait_for(lock, limit, fresh);
  return latest_;
}

void SnapshotBoard::ClearAsked() {
  std::uint64_t count = 0;
  // Nothing to read means that nobody asked: fine too.
  [[maybe_unused]] const ssize_t n = read(asked_.get(), &count, sizeof count);
}

void SnapshotBoard::Publish(std::shared_ptr<const Snapshot> snapshot) {
  {
    const std::lock_guard lock(mutex_);
    latest_ = std::move(snapshot);
  }
  published_.notify_all();
}

}  // namespace stagger::daemon
