// A camera: frames that arrive whether or not anyone is ready for them.
// Owned and called by the main thread; a live source has a reader thread of
// its own inside. Must never count a frame twice: every arrived frame was
// handed out by Next() or was dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <opencv2/core.hpp>

#include "clip.h"
#include "options.h"
#include "pacing.h"
#include "stop_signal.h"

namespace camera_detector {

struct Frame {
  TimePoint arrival;
  Picture picture;
  cv::Mat input;  // prepared ahead, or empty
};

class Camera {
 public:
  virtual ~Camera() = default;

  virtual void Start() = 0;

  // Waits for the next frame to arrive; frames that arrived since the last
  // call are dropped. False when the run is over.
  virtual bool Next(Frame* frame) = 0;

  // Frames so far, dropped ones included.
  virtual std::int64_t arrived() const = 0;

  virtual double fps() const = 0;
};

// Throws std::runtime_error when the source cannot be opened.
std::unique_ptr<Camera> OpenCamera(const Options& options, const StopSignal& stop);

}  // namespace camera_detector
