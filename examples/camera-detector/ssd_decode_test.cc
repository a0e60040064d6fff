#include "ssd_decode.h"

#include <gtest/gtest.h>

#include <cmath>

namespace camera_detector {
namespace {

Detection At(int class_id, float score, Box box) { return {class_id, score, box}; }

TEST(SsdAnchors, AreThoseOfTheSixMaps) {
  const auto anchors = SsdAnchors();
  ASSERT_EQ(anchors.size(), 1917u);
  EXPECT_FLOAT_EQ(anchors[0].cy, 0.5f / 19);
  EXPECT_FLOAT_EQ(anchors[0].h, 0.1f);
  EXPECT_FLOAT_EQ(anchors[1].w, 0.2f * std::sqrt(2.0f));  // twice as wide as high
  EXPECT_FLOAT_EQ(anchors[1].h, 0.2f / std::sqrt(2.0f));
  EXPECT_FLOAT_EQ(anchors[3].cx, 1.5f / 19);  // x runs fastest
  const Anchor& last = anchors.back();
  EXPECT_FLOAT_EQ(last.cy, 0.5f);
  EXPECT_FLOAT_EQ(last.h, std::sqrt(0.95f));
}

TEST(Iou, OfKnownBoxes) {
  const Box unit{0, 0, 1, 1};
  EXPECT_FLOAT_EQ(Iou(unit, unit), 1);
  EXPECT_FLOAT_EQ(Iou(unit, {0, 0, 0.5f, 1}), 0.5f);
  EXPECT_FLOAT_EQ(Iou({0, 0, 0.5f, 0.5f}, {0.5f, 0.5f, 1, 1}), 0);
}

TEST(DecodeSsd, ZeroOffsetsGiveTheAnchor) {
  const std::vector<Anchor> anchors = {{0.5f, 0.5f, 0.2f, 0.4f}};
  const std::vector<float> boxes(4, 0), logits = {9, -9, 0};
  const auto found = DecodeSsd(anchors, boxes, logits, 3, {});
  ASSERT_EQ(found.size(), 1u);  // the background's logit is no detection
  EXPECT_EQ(found[0].class_id, 2);
  EXPECT_FLOAT_EQ(found[0].score, 0.5f);
  EXPECT_FLOAT_EQ(found[0].box.ymin, 0.4f);
  EXPECT_FLOAT_EQ(found[0].box.xmax, 0.7f);
}

TEST(DecodeSsd, OffsetsMoveAndGrowTheAnchorAndTheBoxIsClipped) {
  const std::vector<Anchor> anchors = {{0.5f, 0.5f, 0.2f, 0.4f}};
  const std::vector<float> boxes = {10, 0, 0, 5 * std::log(4.0f)}, logits = {0, 3};
  const auto found = DecodeSsd(anchors, boxes, logits, 2, {});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NEAR(found[0].box.ymin, 0.6f, 1e-6);
  EXPECT_NEAR(found[0].box.ymax, 0.8f, 1e-6);
  EXPECT_EQ(found[0].box.xmin, 0);
  EXPECT_EQ(found[0].box.xmax, 1);
}

TEST(DecodeSsd, LeavesOutWhatIsBelowTheThresholdOrNotANumber) {
  const std::vector<Anchor> anchors = {{0.5f, 0.5f, 0.2f, 0.4f}};
  const std::vector<float> boxes(4, 0);
  const float edge = std::log(0.3f / 0.7f);
  const std::vector<float> below = {0, edge - 0.01f}, above = {0, edge + 0.01f}, nan = {0, NAN};
  EXPECT_TRUE(DecodeSsd(anchors, boxes, below, 2, {}).empty());
  EXPECT_EQ(DecodeSsd(anchors, boxes, above, 2, {}).size(), 1u);
  EXPECT_TRUE(DecodeSsd(anchors, boxes, nan, 2, {}).empty());
  const std::vector<float> nan_box(4, NAN);
  EXPECT_TRUE(DecodeSsd(anchors, nan_box, above, 2, {}).empty());
}

TEST(SuppressOverlaps, KeepsTheBestOfAClass) {
  const Box box{0, 0, 0.5f, 0.5f}, shifted{0, 0.05f, 0.5f, 0.55f}, far{0.5f, 0.5f, 1, 1};
  const auto kept = SuppressOverlaps(
      {At(1, 0.4f, box), At(1, 0.9f, shifted), At(2, 0.5f, box), At(1, 0.6f, far)}, 0.45f);
  ASSERT_EQ(kept.size(), 3u);
  EXPECT_FLOAT_EQ(kept[0].score, 0.9f);
  EXPECT_FLOAT_EQ(kept[1].score, 0.6f);
  EXPECT_EQ(kept[2].class_id, 2);
}

TEST(HashDetections, IgnoresNoiseAndOrderButNotChange) {
  const Detection a = At(1, 0.5f, {0.1f, 0.2f, 0.3f, 0.4f}), b = At(2, 0.7f, {0, 0, 1, 1});
  Detection noisy = a, moved = a, other = a;
  noisy.score += 1e-6f;
  moved.box.xmax += 0.01f;
  other.class_id = 3;
  const auto hash = [](std::vector<Detection> d) { return HashDetections(d); };
  EXPECT_EQ(hash({a, b}), hash({b, noisy}));
  EXPECT_NE(hash({a, b}), hash({moved, b}));
  EXPECT_NE(hash({a}), hash({other}));
  EXPECT_NE(hash({a}), hash({a, a}));
  EXPECT_NE(hash({}), kHashSeed);  // an empty frame counts too
}

TEST(HashWord, IsFnv1a) {
  // Eight zero bytes leave only the multiplications.
  std::uint64_t expected = kHashSeed;
  for (int i = 0; i < 8; ++i) expected *= 0x100000001b3u;
  EXPECT_EQ(HashWord(0, kHashSeed), expected);
}

}  // namespace
}  // namespace camera_detector
