#include "detector.h"

#include <onnxruntime_session_options_config_keys.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <opencv2/imgproc.hpp>
#include <stdexcept>

namespace camera_detector {
namespace {

constexpr int kSide = 300;

Ort::SessionOptions SessionOptions(const DetectorSettings& settings) {
  Ort::SessionOptions options;
  if (settings.threads.value_or(0) > 0) options.SetIntraOpNumThreads(*settings.threads);
  if (settings.tuned) {
    options.AddConfigEntry(kOrtSessionOptionsConfigAllowIntraOpSpinning, "0");
  }
  return options;
}

Ort::Session Load(const Ort::Env& env, const DetectorSettings& settings) {
  if (!std::ifstream(settings.model)) {
    throw std::runtime_error("--model '" + settings.model + "': expected a readable ONNX file");
  }
  try {
    return Ort::Session(env, settings.model.c_str(), SessionOptions(settings));
  } catch (const Ort::Exception& error) {
    std::string reason = error.what();
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    throw std::runtime_error("--model '" + settings.model +
                             "': expected an ONNX model that the runtime can load: " + reason);
  }
}

}  // namespace

cv::Mat PrepareInput(const cv::Mat& bgr) {
  cv::Mat small, rgb;
  cv::resize(bgr, small, cv::Size(kSide, kSide), 0, 0, cv::INTER_LINEAR);
  cv::cvtColor(small, rgb, cv::COLOR_BGR2RGB);
  return rgb;
}

std::vector<std::string> ReadLabels(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> labels;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    labels.push_back(line);
  }
  if (labels.empty()) {
    throw std::runtime_error("--labels '" + path + "': expected a file with a class name a line");
  }
  return labels;
}

Detector::Detector(const DetectorSettings& settings)
    : env_(ORT_LOGGING_LEVEL_ERROR, "camera-detector"),
      session_(Load(env_, settings)),
      anchors_(SsdAnchors()),
      tensor_(kSide * kSide * 3) {
  decode_.score_threshold = settings.score_threshold;
  CheckShapes(settings.model);
}

void Detector::CheckShapes(const std::string& model) {
  const auto refuse = [&] {
    throw std::runtime_error("--model '" + model +
                             "': expected an SSD with input [1,300,300,3] and outputs "
                             "[1,1917,4] and [1,1917,classes]");
  };
  // A free batch axis (-1) is as good as 1.
  const auto fits = [](const std::vector<int64_t>& shape, std::vector<int64_t> tail) {
    return shape.size() == tail.size() + 1 && shape[0] <= 1 &&
           std::equal(tail.begin(), tail.end(), shape.begin() + 1);
  };
  if (session_.GetInputCount() != 1 || session_.GetOutputCount() != 2) refuse();
  const auto input = session_.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();
  if (!fits(input, {kSide, kSide, 3})) refuse();

  Ort::AllocatorWithDefaultOptions allocator;
  names_ = {session_.GetInputNameAllocated(0, allocator).get(), "", ""};
  const auto anchors = static_cast<int64_t>(anchors_.size());
  for (std::size_t i = 0; i < 2; ++i) {
    const auto shape = session_.GetOutputTypeInfo(i).GetTensorTypeAndShapeInfo().GetShape();
    if (shape.size() != 3 || !fits(shape, {anchors, shape[2]}) || shape[2] < 2) refuse();
    const bool boxes = shape[2] == 4;
    names_[boxes ? 1 : 2] = session_.GetOutputNameAllocated(i, allocator).get();
    if (!boxes) classes_ = static_cast<std::size_t>(shape[2]);
  }
  if (names_[1].empty() || names_[2].empty()) refuse();
}

Inference Detector::Detect(const cv::Mat& input) {
  cv::Mat floats(kSide, kSide, CV_32FC3, tensor_.data());
  input.convertTo(floats, CV_32FC3, 1 / 127.5, -1.0);

  constexpr std::array<int64_t, 4> kShape = {1, kSide, kSide, 3};
  static const auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeCPU);
  const auto value = Ort::Value::CreateTensor<float>(memory, tensor_.data(), tensor_.size(),
                                                     kShape.data(), kShape.size());
  const char* inputs[] = {names_[0].c_str()};
  const char* outputs[] = {names_[1].c_str(), names_[2].c_str()};

  Inference inference;
  inference.start = Clock::now();
  const auto results = session_.Run(Ort::RunOptions{nullptr}, inputs, &value, 1, outputs, 2);
  inference.end = Clock::now();

  const std::span boxes(results[0].GetTensorData<float>(), anchors_.size() * 4);
  const std::span logits(results[1].GetTensorData<float>(), anchors_.size() * classes_);
  inference.detections = DecodeSsd(anchors_, boxes, logits, classes_, decode_);
  return inference;
}

}  // namespace camera_detector
