// A camera that sends frames by itself: a network stream or a V4L2 device.
// A reader thread drains it, so that the frame handed out is the one that just
// arrived and not one that waited in a buffer; Next() is for the main thread.
// Must never keep the reader waiting for the detector.
#pragma once

#include <memory>

#include "camera.h"

namespace camera_detector {

// Throws std::runtime_error when the source cannot be opened.
std::unique_ptr<Camera> OpenLiveCamera(const Options& options, const StopSignal& stop);

}  // namespace camera_detector
