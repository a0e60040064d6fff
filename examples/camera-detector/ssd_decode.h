// Turns the raw outputs of a 300x300 SSD-MobileNetV2 into detections: anchors,
// box decoding, per-class non-maximum suppression, and a hash to compare runs.
// Pure functions, callable on any thread. Must never touch the model or the
// video: everything here can be tested with made-up tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace camera_detector {

// Centre and size, as fractions of the picture.
struct Anchor {
  float cy, cx, h, w;
};

// Corners as fractions of the picture, clipped to it.
struct Box {
  float ymin, xmin, ymax, xmax;
};

struct Detection {
  int class_id;
  float score;
  Box box;
};

// The anchors of the six feature maps, in the order of the model's outputs.
std::vector<Anchor> SsdAnchors();

float Iou(const Box& a, const Box& b);

struct DecodeSettings {
  float score_threshold = 0.3f;
  float iou_threshold = 0.45f;
};

// `boxes` holds 4 values per anchor, `logits` `classes` values per anchor with
// class 0 for background. Best score first.
std::vector<Detection> DecodeSsd(std::span<const Anchor> anchors, std::span<const float> boxes,
                                 std::span<const float> logits, std::size_t classes,
                                 const DecodeSettings& settings);

// Keeps the best of each group of same-class boxes that overlap.
std::vector<Detection> SuppressOverlaps(std::vector<Detection> candidates, float iou_threshold);

// 64-bit FNV-1a; chain calls by passing the previous value.
inline constexpr std::uint64_t kHashSeed = 0xcbf29ce484222325u;
std::uint64_t HashDetections(std::span<const Detection> detections, std::uint64_t seed = kHashSeed);
std::uint64_t HashWord(std::uint64_t word, std::uint64_t seed);

}  // namespace camera_detector
