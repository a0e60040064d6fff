// The shapes an inference can have. Each runs on the thread that calls it, and leaves its results
// in a checksum of every output buffer, in order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "gpu.h"

namespace cuda_camera {

bool IsShape(const std::string& name);
std::string ShapeNames();
// Whether a shape wants the per-thread default stream.
bool WantsPerThread(const std::string& shape);

// When the body of one inference was launched, and when the app knew that it was over.
struct BodyTimes {
  // Launches of kernels and graphs are numbered from 1 in the order they are made; what is
  // launched into a capture has no number.
  std::uint64_t first_launch = 0;
  std::uint64_t last_launch = 0;
  std::int64_t launch_begin_ns = 0;
  std::int64_t launch_end_ns = 0;
  std::int64_t over_ns = 0;  // 0: the app did not wait for it
};

class Inference {
 public:
  virtual ~Inference() = default;
  // `before_wait`: called when the body has been launched.
  virtual BodyTimes Run(std::int64_t frame, const std::function<void()>& before_wait) = 0;
  virtual void Finish() {}  // after the last one
  std::uint64_t checksum() const { return checksum_; }

 protected:
  void AddToChecksum(const float* output);

 private:
  std::uint64_t checksum_ = 14695981039346656037ull;  // FNV-1a
};

std::unique_ptr<Inference> MakeInference(const Settings& settings, const Gpu& gpu);

}  // namespace cuda_camera
