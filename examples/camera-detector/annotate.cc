#include "annotate.h"

#include <cstdio>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace camera_detector {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;

cv::Scalar ClassColour(int class_id) {
  // Hues a golden angle apart stay distinct however many classes there are.
  const cv::Mat hsv(
      1, 1, CV_8UC3,
      cv::Scalar((static_cast<double>(class_id) * 111.25) - 180.0 * ((class_id * 111) / 180), 200,
                 255));
  cv::Mat bgr;
  cv::cvtColor(hsv, bgr, cv::COLOR_HSV2BGR);
  const auto& pixel = bgr.at<cv::Vec3b>(0, 0);
  return {static_cast<double>(pixel[0]), static_cast<double>(pixel[1]),
          static_cast<double>(pixel[2])};
}

// Text on a filled plate whose lower left corner is `at`, kept in the picture.
void PutPlate(cv::Mat& canvas, const std::string& text, cv::Point at, const cv::Scalar& plate) {
  const double scale = std::max(canvas.cols, 320) / 1600.0;
  int below = 0;
  const cv::Size size = cv::getTextSize(text, kFont, scale, 1, &below);
  const int height = size.height + below + 4;
  at.x = std::clamp(at.x, 0, std::max(0, canvas.cols - size.width - 6));
  at.y = std::clamp(at.y, height, canvas.rows);
  cv::rectangle(canvas, {at.x, at.y - height}, {at.x + size.width + 6, at.y}, plate, cv::FILLED);
  cv::putText(canvas, text, {at.x + 3, at.y - below - 1}, kFont, scale, {0, 0, 0}, 1, cv::LINE_AA);
}

std::string ClassName(int class_id, const std::vector<std::string>& labels) {
  const auto index = static_cast<std::size_t>(class_id);
  return index < labels.size() ? labels[index] : std::to_string(class_id);
}

}  // namespace

std::string RenderJpeg(const Shot& shot, const std::vector<std::string>& labels) {
  cv::Mat canvas = shot.picture.jpeg ? cv::imdecode(*shot.picture.jpeg, cv::IMREAD_COLOR)
                                     : shot.picture.pixels.clone();
  const auto x = [&](float v) { return static_cast<int>(v * static_cast<float>(canvas.cols)); };
  const auto y = [&](float v) { return static_cast<int>(v * static_cast<float>(canvas.rows)); };
  for (const Detection& detection : shot.detections) {
    const Box& box = detection.box;
    const cv::Scalar colour = ClassColour(detection.class_id);
    cv::rectangle(canvas, {x(box.xmin), y(box.ymin)}, {x(box.xmax), y(box.ymax)}, colour, 2);
    char score[16];
    std::snprintf(score, sizeof score, " %.2f", static_cast<double>(detection.score));
    PutPlate(canvas, ClassName(detection.class_id, labels) + score, {x(box.xmin), y(box.ymin)},
             colour);
  }
  if (!shot.caption.empty()) PutPlate(canvas, shot.caption, {0, canvas.rows}, {235, 235, 235});
  std::vector<unsigned char> jpeg;
  cv::imencode(".jpg", canvas, jpeg, {cv::IMWRITE_JPEG_QUALITY, 80});
  return {jpeg.begin(), jpeg.end()};
}

}  // namespace camera_detector
