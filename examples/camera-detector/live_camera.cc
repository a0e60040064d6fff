#include "live_camera.h"

#include <atomic>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <opencv2/videoio.hpp>
#include <stdexcept>
#include <thread>

namespace camera_detector {
namespace {

constexpr auto kStopPoll = std::chrono::milliseconds(50);
constexpr int kOpenTimeoutMs = 10'000;
constexpr int kReadTimeoutMs = 5'000;

class LiveCamera : public Camera {
 public:
  LiveCamera(cv::VideoCapture capture, const Options& options, const StopSignal& stop)
      : capture_(std::move(capture)),
        stride_(options.stride),
        limit_(options.frames.value_or(std::numeric_limits<std::int64_t>::max())),
        seconds_(options.seconds),
        stop_(stop),
        fps_(capture_.get(cv::CAP_PROP_FPS)),
        reader_([this] { Read(); }) {}

  ~LiveCamera() override {
    closing_ = true;
    reader_.join();
  }

  void Start() override {
    const std::lock_guard lock(mutex_);
    start_ = Clock::now();
    started_ = true;
  }

  bool Next(Frame* frame) override {
    std::unique_lock lock(mutex_);
    wanted_ = true;
    while (!ready_) {
      if (ended_ || stop_.Requested() || OutOfTime()) {
        // From here on no frame counts as arrived, so that the sums hold.
        started_ = false;
        return false;
      }
      changed_.wait_for(lock, kStopPoll);
    }
    ready_ = false;
    *frame = std::move(frame_);
    return true;
  }

  std::int64_t arrived() const override {
    const std::lock_guard lock(mutex_);
    return arrived_;
  }
  double fps() const override { return fps_; }

 private:
  bool OutOfTime() const {
    return seconds_ && std::chrono::duration<double>(Clock::now() - start_).count() >= *seconds_;
  }

  void Read() {
    for (std::int64_t sent = 0; !closing_ && capture_.grab(); ++sent) {
      if (sent % stride_ != 0) continue;
      const TimePoint arrival = Clock::now();
      std::lock_guard lock(mutex_);
      if (!started_ || OutOfTime()) continue;
      if (arrived_ >= limit_) break;
      ++arrived_;
      if (!wanted_) continue;
      // Under the lock: the only one to wait for it is the one who wants it.
      frame_ = {arrival, {}, {}};
      if (!capture_.retrieve(frame_.picture.pixels) || frame_.picture.pixels.empty()) continue;
      wanted_ = false;
      ready_ = true;
      changed_.notify_one();
    }
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }

  cv::VideoCapture capture_;
  const int stride_;
  const std::int64_t limit_;
  const std::optional<double> seconds_;
  const StopSignal& stop_;
  const double fps_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  TimePoint start_;
  bool started_ = false;
  bool wanted_ = false;
  bool ready_ = false;
  bool ended_ = false;
  std::int64_t arrived_ = 0;
  Frame frame_;

  std::atomic<bool> closing_{false};
  std::thread reader_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<Camera> OpenLiveCamera(const Options& options, const StopSignal& stop) {
  const bool device = options.source.rfind("/dev/", 0) == 0;
  cv::VideoCapture capture;
  if (device) {
    capture.open(options.source, cv::CAP_V4L2);
    if (options.fps) capture.set(cv::CAP_PROP_FPS, *options.fps);
  } else {
    capture.open(options.source, cv::CAP_FFMPEG,
                 {cv::CAP_PROP_OPEN_TIMEOUT_MSEC, kOpenTimeoutMs, cv::CAP_PROP_READ_TIMEOUT_MSEC,
                  kReadTimeoutMs});
  }
  if (!capture.isOpened()) {
    throw std::runtime_error("--source '" + options.source +
                             "': expected a readable video file, a stream URL or /dev/videoN");
  }
  return std::make_unique<LiveCamera>(std::move(capture), options, stop);
}

}  // namespace camera_detector
