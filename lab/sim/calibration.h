// The GPU model's parameters from an overlap sweep: two inferences at once, the second started some
// time after the first, and how long each took (Suzuki et al., section 4.2, Table 2). Pure.
#pragma once

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

}  // namespace stagger::sim
