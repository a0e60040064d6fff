// Draws detections onto a picture and encodes it as JPEG.
// Pure function, called on HTTP threads. Must never change the picture it is
// given: others look at the same pixels.
#pragma once

#include <string>
#include <vector>

#include "clip.h"
#include "ssd_decode.h"

namespace camera_detector {

// What one published frame shows.
struct Shot {
  Picture picture;
  std::vector<Detection> detections;
  std::string caption;
};

// JPEG bytes. Classes without a name show as their number.
std::string RenderJpeg(const Shot& shot, const std::vector<std::string>& labels);

}  // namespace camera_detector
