#include "camera.h"

#include <algorithm>
#include <limits>

#include "live_camera.h"

namespace camera_detector {
namespace {

constexpr std::int64_t kEndless = std::numeric_limits<std::int64_t>::max();

// A file played at a camera's rate.
class PacedCamera : public Camera {
 public:
  PacedCamera(Clip clip, double fps, std::int64_t limit, const StopSignal& stop)
      : clip_(std::move(clip)), fps_(fps), limit_(limit), stop_(stop), pacing_({}, fps) {}

  void Start() override { pacing_ = Pacing(Clock::now(), fps_); }

  bool Next(Frame* frame) override {
    // What fell due while the last frame was worked on has been missed.
    const std::int64_t due = arrived_ == 0 ? 0 : pacing_.FirstDueFrom(Clock::now());
    const std::int64_t next = std::max(arrived_, due);
    arrived_ = std::min(next, limit_);
    if (next < limit_) clip_.SkipTo(next);
    // At the end this waits out the last frame's period: N frames at R a
    // second take N / R seconds.
    if (stop_.WaitUntil(pacing_.Due(std::min(next, limit_))) || next >= limit_) return false;
    ClipFrame taken = clip_.Take(next);
    *frame = {pacing_.Due(next), std::move(taken.picture), std::move(taken.input)};
    arrived_ = next + 1;
    return true;
  }

  std::int64_t arrived() const override { return arrived_; }
  double fps() const override { return fps_; }

 private:
  Clip clip_;
  double fps_;
  std::int64_t limit_;
  const StopSignal& stop_;
  Pacing pacing_;
  std::int64_t arrived_ = 0;
};

// A file read as fast as its frames are used: nothing is ever dropped.
class EveryFrameCamera : public Camera {
 public:
  EveryFrameCamera(Clip clip, const Options& options, const StopSignal& stop)
      : clip_(std::move(clip)),
        limit_(options.frames.value_or(kEndless)),
        seconds_(options.seconds),
        one_pass_(!options.frames && !options.seconds),
        stop_(stop) {}

  void Start() override { start_ = Clock::now(); }

  bool Next(Frame* frame) override {
    const TimePoint now = Clock::now();
    if (stop_.Requested() || arrived_ >= limit_) return false;
    if (seconds_ && std::chrono::duration<double>(now - start_).count() >= *seconds_) return false;
    ClipFrame taken = clip_.Take(arrived_);
    if (one_pass_ && clip_.wrapped()) return false;
    *frame = {now, std::move(taken.picture), std::move(taken.input)};
    ++arrived_;
    return true;
  }

  std::int64_t arrived() const override { return arrived_; }
  double fps() const override { return clip_.fps(); }

 private:
  Clip clip_;
  std::int64_t limit_;
  std::optional<double> seconds_;
  bool one_pass_;
  const StopSignal& stop_;
  TimePoint start_;
  std::int64_t arrived_ = 0;
};

}  // namespace

std::unique_ptr<Camera> OpenCamera(const Options& options, const StopSignal& stop) {
  if (IsLiveSource(options.source)) return OpenLiveCamera(options, stop);

  Clip clip(options.source, options.offset_s, options.stride);
  const double fps = options.fps.value_or(clip.fps());
  std::int64_t limit = options.frames.value_or(kEndless);
  if (options.seconds && !options.every_frame) {
    limit = std::min(limit, FramesWithin(*options.seconds, fps));
  }
  if (options.preload > 0) {
    clip.Preload(std::min(options.preload, limit), options.http_port.has_value());
  }
  if (options.every_frame) {
    return std::make_unique<EveryFrameCamera>(std::move(clip), options, stop);
  }
  return std::make_unique<PacedCamera>(std::move(clip), fps, limit, stop);
}

}  // namespace camera_detector
