// The model: loads it once and runs one inference at a time.
// Owned and called by the main thread. Must never see a video or a clock of
// its own: it is handed prepared pictures and says when the runtime worked.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <opencv2/core.hpp>
#include <optional>
#include <string>
#include <vector>

#include "pacing.h"
#include "ssd_decode.h"

namespace camera_detector {

// The model's view of a picture: 300x300, 8-bit RGB.
cv::Mat PrepareInput(const cv::Mat& bgr);

// One name a line; the line's number is the class. Throws std::runtime_error.
std::vector<std::string> ReadLabels(const std::string& path);

struct DetectorSettings {
  std::string model;
  std::optional<int> threads;
  bool tuned = false;
  float score_threshold = 0.3f;
};

struct Inference {
  TimePoint start;  // of the runtime's call
  TimePoint end;
  std::vector<Detection> detections;
};

class Detector {
 public:
  // Throws std::runtime_error when the file is not such a model.
  explicit Detector(const DetectorSettings& settings);

  Inference Detect(const cv::Mat& input);

  std::size_t classes() const { return classes_; }

 private:
  void CheckShapes(const std::string& model);

  Ort::Env env_;
  Ort::Session session_;
  std::vector<std::string> names_;  // input, boxes, logits
  std::vector<Anchor> anchors_;
  std::vector<float> tensor_;
  std::size_t classes_ = 0;
  DecodeSettings decode_;
};

}  // namespace camera_detector
