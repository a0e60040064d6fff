// A recorder that never waits for the file: the thread that decides adds steps, another thread
// writes them. Where the file takes no more, the recording ends: what is in the file then has no
// gap.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "base/time.h"
#include "base/work_queue.h"
#include "record/recording.h"

namespace stagger::record {

class QueuedRecorder {
 public:
  static constexpr std::size_t kMostSteps = 16384;  // that wait to be written

  explicit QueuedRecorder(Recorder recorder, std::size_t most = kMostSteps);
  // Waits a second at most for what is not written yet.
  ~QueuedRecorder();
  QueuedRecorder(const QueuedRecorder&) = delete;
  QueuedRecorder& operator=(const QueuedRecorder&) = delete;

  // False once nothing more is taken; failure() says why.
  bool Add(const core::Event& event, TimePoint now, std::span<const core::Action> actions);
  std::string failure() const;
  // Waits until all that was taken is in the file. False: not within `limit`, or the recording has
  // ended early.
  bool Drain(Duration limit);

 private:
  // Shared with the thread, which may be stuck in a write when the recorder ends.
  struct Written {
    explicit Written(Recorder to) : recorder(std::move(to)) {}
    Recorder recorder;  // the writing thread's alone
    std::mutex mutex;
    std::string failure;  // to write
  };

  std::size_t most_;
  bool full_ = false;  // once more waited than may
  std::shared_ptr<Written> written_;
  WorkQueue<Step> steps_;
};

}  // namespace stagger::record
