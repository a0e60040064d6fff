#include "clip.h"

#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <stdexcept>

#include "detector.h"

namespace camera_detector {
namespace {

constexpr double kUnknownFileFps = 10;

}  // namespace

Clip::Clip(const std::string& path, double offset_s, int stride) : path_(path), stride_(stride) {
  if (!capture_.open(path, cv::CAP_FFMPEG)) {
    throw std::runtime_error("--source '" + path +
                             "': expected a readable video file, a stream URL or /dev/videoN");
  }
  fps_ = capture_.get(cv::CAP_PROP_FPS);
  if (!(fps_ > 0 && fps_ <= 1000)) fps_ = kUnknownFileFps;
  // Grabbing up to the offset instead of seeking: exact in every container.
  auto skip = static_cast<std::int64_t>(std::llround(offset_s * fps_));
  const auto length = static_cast<std::int64_t>(capture_.get(cv::CAP_PROP_FRAME_COUNT));
  if (length > 0) skip %= length;
  while (skip-- > 0) GrabNext();
  wrapped_ = false;
}

bool Clip::GrabNext() {
  if (capture_.grab()) return false;
  // Opening again instead of seeking to 0, which some containers cannot do.
  if (!capture_.open(path_, cv::CAP_FFMPEG) || !capture_.grab()) {
    throw std::runtime_error("--source '" + path_ + "': expected a video with frames in it");
  }
  wrapped_ = true;
  return true;
}

void Clip::Preload(std::int64_t count, bool keep_pictures) {
  std::vector<ClipFrame> frames;
  for (std::int64_t n = 0; n < count; ++n) {
    ClipFrame frame = Take(n);
    if (wrapped_) break;
    frame.input = PrepareInput(frame.picture.pixels);
    if (keep_pictures) {
      std::vector<unsigned char> jpeg;
      cv::imencode(".jpg", frame.picture.pixels, jpeg, {cv::IMWRITE_JPEG_QUALITY, 90});
      frame.picture.jpeg = std::make_shared<const std::vector<unsigned char>>(std::move(jpeg));
    }
    frame.picture.pixels.release();
    frames.push_back(std::move(frame));
  }
  wrapped_ = false;
  preloaded_ = std::move(frames);
  capture_.release();
}

void Clip::Advance(std::int64_t number) {
  while (current_ < number) {
    for (int step = current_ < 0 ? 1 : stride_; step > 0; --step) {
      if (GrabNext()) break;  // a new round starts with the file's first frame
    }
    ++current_;
  }
}

void Clip::SkipTo(std::int64_t number) {
  if (preloaded_.empty()) Advance(number - 1);
}

ClipFrame Clip::Take(std::int64_t number) {
  if (!preloaded_.empty()) {
    const auto size = static_cast<std::int64_t>(preloaded_.size());
    wrapped_ = number >= size;
    return preloaded_[static_cast<std::size_t>(number % size)];
  }
  Advance(number);
  ClipFrame frame;
  if (!capture_.retrieve(frame.picture.pixels) || frame.picture.pixels.empty()) {
    throw std::runtime_error("--source '" + path_ + "': a frame could not be decoded");
  }
  return frame;
}

}  // namespace camera_detector
