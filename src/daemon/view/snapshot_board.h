// Where the loop leaves status snapshots and other threads pick them up. The one place where
// threads meet: its mutex is held only to copy a pointer, so the loop never waits for a reader.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "daemon/view/status.h"

namespace stagger::daemon {

class SnapshotBoard {
 public:
  static constexpr Duration kMaxAge = std::chrono::milliseconds{250};

  static Result<std::unique_ptr<SnapshotBoard>> Create();

  // Any thread but the loop's: at most kMaxAge old, else asks the loop and waits for up to `limit`.
  // What there is by then, possibly old, possibly null.
  std::shared_ptr<const Snapshot> Read(Duration limit);

  // Loop thread.
  int asked_fd() const { return asked_.get(); }  // readable: somebody waits for a snapshot
  void ClearAsked();
  void Publish(std::shared_ptr<const Snapshot> snapshot);

 private:
  explicit SnapshotBoard(UniqueFd asked) : asked_(std::move(asked)) {}

  UniqueFd asked_;  // eventfd
  std::mutex mutex_;
  std::condition_variable published_;
  std::shared_ptr<const Snapshot> latest_;
};

}  // namespace stagger::daemon
