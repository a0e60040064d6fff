#include "lab/sim/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "lab/sim/gpu_model.h"

namespace stagger::sim {
namespace {

constexpr std::size_t kParameters = 4;
using Vector = std::array<double, kParameters>;

// Bounds by reflection: the search is free, the model never sees a negative.
OverlapModel ModelOf(const Vector& x) {
  return {std::abs(x[0]), std::abs(x[1]), std::abs(x[2]), std::abs(x[3]), std::abs(x[3])};
}

Vector Mix(const Vector& a, double of_a, const Vector& b, double of_b) {
  Vector mixed;
  for (std::size_t i = 0; i < kParameters; ++i) mixed[i] = of_a * a[i] + of_b * b[i];
  return mixed;
}

// Nelder and Mead 1965, with their coefficients. The error is piecewise smooth in the parameters
// (phases change their order), which a method without derivatives does not mind.
template <typename F>
Vector Minimise(const Vector& start, F error) {
  struct Corner {
    Vector x;
    double error;
  };
  std::vector<Corner> corners{{start, error(start)}};
  for (std::size_t i = 0; i < kParameters; ++i) {
    Vector x = start;
    x[i] += std::max(0.1 * std::abs(x[i]), 0.05);
    corners.push_back({x, error(x)});
  }
  const auto by_error = [](const Corner& a, const Corner& b) { return a.error < b.error; };
  constexpr int kSteps = 4000;
  for (int step = 0; step < kSteps; ++step) {
    std::stable_sort(corners.begin(), corners.end(), by_error);
    Corner& worst = corners.back();
    if (worst.error - corners.front().error < 1e-12) break;
    Vector centre{};
    for (std::size_t i = 0; i < kParameters; ++i) {
      centre = Mix(centre, 1, corners[i].x, 1.0 / kParameters);
    }
    const auto toward = [&](double factor) {
      const Vector x = Mix(centre, 1 - factor, worst.x, factor);
      return Corner{x, error(x)};
    };
    const Corner reflected = toward(-1);
    if (reflected.error < corners.front().error) {
      const Corner expanded = toward(-2);
      worst = expanded.error < reflected.error ? expanded : reflected;
    } else if (reflected.error < corners[kParameters - 1].error) {
      worst = reflected;
    } else {
      const Corner contracted = reflected.error < worst.error ? toward(-0.5) : toward(0.5);
      if (contracted.error < std::min(reflected.error, worst.error)) {
        worst = contracted;
      } else {
        for (std::size_t i = 1; i < corners.size(); ++i) {
          corners[i].x = Mix(corners.front().x, 0.5, corners[i].x, 0.5);
          corners[i].error = error(corners[i].x);
        }
      }
    }
  }
  return std::min_element(corners.begin(), corners.end(), by_error)->x;
}

}  // namespace

std::pair<double, double> Overlap(const OverlapModel& model, double offset_ms) {
  GpuModel gpu({.name = {}, .sigma = model.sigma, .w = model.w, .g = model.g});
  const std::array<TimePoint, 2> starts{TimePoint{}, TimePoint{FromMs(offset_ms)}};
  std::array<TimePoint, 2> ends{};
  std::array<Phase, 2> phases{};
  std::size_t started = 0;
  for (int ended = 0; ended < 2;) {
    const auto next = gpu.NextCompletion();
    if (started < 2 && (!next || starts[started] <= next->first)) {
      gpu.Advance(starts[started]);
      phases[started] = Phase::kBody;
      gpu.Start(started++, Phase::kBody, FromMs(model.body_ms), 1);
      continue;
    }
    const auto [at, job] = *next;
    gpu.Advance(at);
    gpu.Finish(job);
    if (phases[job] == Phase::kBody) {
      phases[job] = Phase::kPost;
      gpu.Start(job, Phase::kPost, FromMs(model.post_ms), 0);
    } else {
      ends[job] = at;
      ++ended;
    }
  }
  return {ToMs(ends[0] - starts[0]), ToMs(ends[1] - starts[1])};
}

Result<Calibration> Calibrate(std::span<const OverlapPoint> sweep) {
  if (sweep.size() < kParameters) return Error{"a sweep needs at least four offsets"};
  double alone = 0;
  double reach = 0;
  for (const OverlapPoint& point : sweep) {
    if (!(point.offset_ms >= 0) || !(point.first_ms > 0) || !(point.second_ms > 0) ||
        !std::isfinite(point.offset_ms + point.first_ms + point.second_ms)) {
      return Error{"a sweep's offsets must be >= 0 and its times > 0"};
    }
    if (point.offset_ms < reach) continue;
    reach = point.offset_ms;
    alone = (point.first_ms + point.second_ms) / 2;
  }
  const auto squares = [&](const Vector& x) {
    const OverlapModel model = ModelOf(x);
    double sum = 0;
    for (const OverlapPoint& point : sweep) {
      const auto [first, second] = Overlap(model, point.offset_ms);
      sum += (first - point.first_ms) * (first - point.first_ms) +
             (second - point.second_ms) * (second - point.second_ms);
    }
    return sum;
  };
  // At the far end of the sweep the two hardly touch: an inference alone. How much of it is body
  // is for the search to find, from several beginnings.
  Vector best{};
  double least = -1;
  for (const double part : {0.4, 0.55, 0.7}) {
    for (const double coupling : {0.05, 0.3}) {
      Vector x{alone * part, alone * (1 - part), 0.1, coupling};
      // From where it stopped, with a fresh simplex: it can collapse before it has arrived.
      for (int again = 0; again < 3; ++again) x = Minimise(x, squares);
      const double error = squares(x);
      if (least < 0 || error < least) {
        least = error;
        best = x;
      }
    }
  }
  Calibration result;
  result.model = ModelOf(best);
  result.rmse_ms = std::sqrt(least / (2 * static_cast<double>(sweep.size())));
  for (const OverlapPoint& point : sweep) {
    const auto [first, second] = Overlap(result.model, point.offset_ms);
    result.max_error_ms = std::max({result.max_error_ms, std::abs(first - point.first_ms),
                                    std::abs(second - point.second_ms)});
  }
  return result;
}

}  // namespace stagger::sim
