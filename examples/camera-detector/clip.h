// A video file as an endless sequence of frames: it starts at an offset, takes
// every Nth frame and starts over at the file's end.
// Owned and called by the main thread. Must never wait for a frame's time to
// come: that is the camera's business.
#pragma once

#include <cstdint>
#include <memory>
#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>
#include <string>
#include <vector>

namespace camera_detector {

// What people look at: pixels, or a JPEG of them where pixels take too much.
struct Picture {
  cv::Mat pixels;
  std::shared_ptr<const std::vector<unsigned char>> jpeg;
};

struct ClipFrame {
  Picture picture;
  cv::Mat input;  // the model's view, when it was prepared ahead
};

class Clip {
 public:
  // Throws std::runtime_error when the file is not a video.
  Clip(const std::string& path, double offset_s, int stride);

  double fps() const { return fps_; }

  // Keeps the next `count` frames (fewer if the clip ends) and repeats those
  // from now on: the model's view, and a JPEG if pictures are wanted.
  void Preload(std::int64_t count, bool keep_pictures);

  // Decodes past the frames before `number`, to do so while there is time.
  void SkipTo(std::int64_t number);

  // `number` counts from 0 and never goes back.
  ClipFrame Take(std::int64_t number);

  // Whether the frame taken last came after a start-over.
  bool wrapped() const { return wrapped_; }

 private:
  void Advance(std::int64_t number);
  bool GrabNext();  // true when that took a start-over

  std::string path_;
  cv::VideoCapture capture_;
  double fps_ = 0;
  int stride_;
  std::int64_t current_ = -1;  // the frame grabbed last
  bool wrapped_ = false;
  std::vector<ClipFrame> preloaded_;
};

}  // namespace camera_detector
