#include "record/queued_recorder.h"

#include <utility>

namespace stagger::record {

QueuedRecorder::QueuedRecorder(Recorder recorder, std::size_t most)
    : most_(most),
      written_(std::make_shared<Written>(std::move(recorder))),
      steps_(most, WorkQueue<Step>::Full::kRefuse, [to = written_](Step& step, std::size_t) {
        if (to->recorder.Add(step.event, step.at, step.actions)) return true;
        const std::lock_guard lock(to->mutex);
        to->failure = to->recorder.failure();
        return false;
      }) {}

QueuedRecorder::~QueuedRecorder() { steps_.Drain(std::chrono::seconds{1}); }

bool QueuedRecorder::Add(const core::Event& event, TimePoint now,
                         std::span<const core::Action> actions) {
  if (!full_ && steps_.Push({now, event, {actions.begin(), actions.end()}})) return true;
  full_ = true;
  return false;
}

std::string QueuedRecorder::failure() const {
  const std::lock_guard lock(written_->mutex);
  if (!written_->failure.empty() || !full_) return written_->failure;
  return "the file is not written, and " + std::to_string(most_) + " steps wait for it";
}

bool QueuedRecorder::Drain(Duration limit) { return steps_.Drain(limit) && !full_; }

}  // namespace stagger::record
