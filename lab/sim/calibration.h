// The GPU model's parameters from an overlap sweep: two inferences at once, the second started some
// time after the first, and how long each took (section 4.2 of Suzuki, Tanaka, Toyonaga and
// Matsukura (Fujitsu), "Improving GPU resource efficiency when inferences are run together":
// SSD-ResNet on one NVIDIA T4); and what that paper measured. Pure.
#pragma once

#include <array>
#include <span>
#include <utility>

#include "base/result.h"

namespace stagger::sim {

struct OverlapPoint {
  double offset_ms;
  double first_ms;
  double second_ms;
};

struct OverlapModel {
  double body_ms = 0;
  double post_ms = 0;
  double sigma = 0;
  double w = 0;
  double g = 0;
};

struct Calibration {
  OverlapModel model;
  double rmse_ms = 0;  // over both inference times of every point
  double max_error_ms = 0;
};

// How long both inferences take according to the model (DeviceModel in scenario.h), bodies filling
// the device.
std::pair<double, double> Overlap(const OverlapModel& model, double offset_ms);

// Least squares over body, post, sigma and w = g, all >= 0. The one coupling of bodies and post
// phases keeps four parameters for a sweep that cannot tell the two apart. Deterministic.
// Error: fewer than four points, a negative offset, or times that are not finite and > 0.
Result<Calibration> Calibrate(std::span<const OverlapPoint> sweep);

// Table 2: two inferences, the second started some time after the first; mean of 50 runs, ms.
inline constexpr std::array<OverlapPoint, 21> kPaperTable2{{
    {0, 127.1, 125.2},  {5, 123.7, 120.4}, {10, 115.3, 114.4}, {15, 107.3, 108.5},
    {20, 105.2, 105.5}, {25, 98.4, 99.5},  {30, 92.2, 92.7},   {35, 91.8, 88.4},
    {40, 84.8, 84.3},   {45, 76.7, 82.2},  {50, 76.7, 82.2},   {55, 78.4, 81.0},
    {60, 78.9, 82.7},   {65, 78.6, 77.1},  {70, 76.9, 75.3},   {75, 72.2, 76.3},
    {80, 72.3, 73.8},   {85, 71.6, 74.4},  {90, 72.7, 73.0},   {95, 70.8, 72.3},
    {100, 72.8, 73.3},
}};

// Table 3: four apps at 4 fps each. To be printed beside a prediction; nothing is fitted to it.
struct PaperLeg {
  const char* name;
  double min_ms;
  double mean_ms;
  double max_ms;
  double drop_ratio;
  double fps;
};
inline constexpr std::array<PaperLeg, 2> kPaperTable3{{
    {"controlled", 77, 83, 110, 0.0, 16},
    {"uncontrolled", 244, 268, 303, 0.5, 8},
}};

}  // namespace stagger::sim
