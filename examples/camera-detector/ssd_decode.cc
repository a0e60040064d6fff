#include "ssd_decode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

namespace camera_detector {
namespace {

constexpr std::array<int, 6> kMaps = {19, 10, 5, 3, 2, 1};
constexpr float kMinScale = 0.2f;
constexpr float kMaxScale = 0.95f;
constexpr float kCentreVariance = 10.0f;
constexpr float kSizeVariance = 5.0f;

float MapScale(std::size_t map) {
  if (map >= kMaps.size()) return 1.0f;
  return kMinScale + (kMaxScale - kMinScale) * static_cast<float>(map) / (kMaps.size() - 1);
}

Box DecodeBox(const Anchor& anchor, const float* raw) {
  const float cy = raw[0] / kCentreVariance * anchor.h + anchor.cy;
  const float cx = raw[1] / kCentreVariance * anchor.w + anchor.cx;
  const float h = std::exp(raw[2] / kSizeVariance) * anchor.h;
  const float w = std::exp(raw[3] / kSizeVariance) * anchor.w;
  const auto clip = [](float v) { return std::clamp(v, 0.0f, 1.0f); };
  return {clip(cy - h / 2), clip(cx - w / 2), clip(cy + h / 2), clip(cx + w / 2)};
}

float Area(const Box& box) { return (box.ymax - box.ymin) * (box.xmax - box.xmin); }

}  // namespace

std::vector<Anchor> SsdAnchors() {
  struct Shape {
    float scale, ratio;
  };
  std::vector<Anchor> anchors;
  for (std::size_t map = 0; map < kMaps.size(); ++map) {
    const float scale = MapScale(map);
    std::vector<Shape> shapes;
    if (map == 0) {
      shapes = {{0.1f, 1.0f}, {scale, 2.0f}, {scale, 0.5f}};
    } else {
      shapes = {{scale, 1.0f}, {scale, 2.0f},        {scale, 0.5f},
                {scale, 3.0f}, {scale, 1.0f / 3.0f}, {std::sqrt(scale * MapScale(map + 1)), 1.0f}};
    }
    const int side = kMaps[map];
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const float cy = (static_cast<float>(y) + 0.5f) / static_cast<float>(side);
        const float cx = (static_cast<float>(x) + 0.5f) / static_cast<float>(side);
        for (const Shape& shape : shapes) {
          const float root = std::sqrt(shape.ratio);
          anchors.push_back({cy, cx, shape.scale / root, shape.scale * root});
        }
      }
    }
  }
  return anchors;
}

float Iou(const Box& a, const Box& b) {
  const float h = std::min(a.ymax, b.ymax) - std::max(a.ymin, b.ymin);
  const float w = std::min(a.xmax, b.xmax) - std::max(a.xmin, b.xmin);
  if (h <= 0 || w <= 0) return 0;
  const float both = h * w;
  return both / (Area(a) + Area(b) - both);
}

std::vector<Detection> DecodeSsd(std::span<const Anchor> anchors, std::span<const float> boxes,
                                 std::span<const float> logits, std::size_t classes,
                                 const DecodeSettings& settings) {
  // Comparing logits saves some 45,000 exponentials a frame.
  const float p = std::clamp(settings.score_threshold, 1e-6f, 1.0f - 1e-6f);
  const float logit_threshold = std::log(p / (1.0f - p));
  std::vector<Detection> candidates;
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    for (std::size_t c = 1; c < classes; ++c) {
      const float logit = logits[i * classes + c];
      if (!(logit >= logit_threshold)) continue;
      const Box box = DecodeBox(anchors[i], &boxes[i * 4]);
      if (!(Area(box) > 0)) continue;
      candidates.push_back({static_cast<int>(c), 1.0f / (1.0f + std::exp(-logit)), box});
    }
  }
  return SuppressOverlaps(std::move(candidates), settings.iou_threshold);
}

std::vector<Detection> SuppressOverlaps(std::vector<Detection> candidates, float iou_threshold) {
  // Stable: equal scores stay in anchor order, so that runs can be compared.
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
  std::vector<Detection> kept;
  for (const Detection& candidate : candidates) {
    const bool covered = std::any_of(kept.begin(), kept.end(), [&](const Detection& better) {
      return better.class_id == candidate.class_id &&
             Iou(better.box, candidate.box) > iou_threshold;
    });
    if (!covered) kept.push_back(candidate);
  }
  return kept;
}

std::uint64_t HashWord(std::uint64_t word, std::uint64_t seed) {
  constexpr std::uint64_t kPrime = 0x100000001b3u;
  for (int byte = 0; byte < 8; ++byte) {
    seed = (seed ^ ((word >> (8 * byte)) & 0xff)) * kPrime;
  }
  return seed;
}

std::uint64_t HashDetections(std::span<const Detection> detections, std::uint64_t seed) {
  // The last bits of a float depend on the order of summation, thus on the
  // CPU's vector width and possibly on the thread count. Thousandths are far
  // above that noise and far below what a wrong result would change; sorting
  // by the rounded values keeps near-equal scores from swapping places. A value
  // that lies exactly on a rounding edge can still differ between two CPUs, so
  // compare hashes of one machine and counts across machines.
  using Rounded = std::tuple<long, long, long, long, long, long>;
  const auto thousandths = [](float v) { return std::lround(v * 1000.0f); };
  std::vector<Rounded> rows;
  rows.reserve(detections.size());
  for (const Detection& d : detections) {
    rows.emplace_back(d.class_id, thousandths(d.box.ymin), thousandths(d.box.xmin),
                      thousandths(d.box.ymax), thousandths(d.box.xmax), thousandths(d.score));
  }
  std::sort(rows.begin(), rows.end());
  for (const Rounded& row : rows) {
    std::apply(
        [&](auto... value) { ((seed = HashWord(static_cast<std::uint64_t>(value), seed)), ...); },
        row);
  }
  return HashWord(rows.size(), seed);
}

}  // namespace camera_detector
