// The run's numbers: what arrived, what was done, how long it took, what was
// seen. Written by the main thread, read by it and by HTTP threads.
// Must never hold its lock for long: readers copy, then compute.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "pacing.h"
#include "ssd_decode.h"

namespace camera_detector {

// Milliseconds. Minimum, mean and maximum cover all values; percentiles cover
// the newest 65,536, so that a camera can run for months.
class Distribution {
 public:
  void Add(double value);
  bool empty() const { return count_ == 0; }
  double mean() const;
  // Nearest rank: the least value that `fraction` of the values do not exceed.
  double Percentile(double fraction) const;
  nlohmann::ordered_json ToJson() const;  // null when empty

 private:
  std::vector<double> newest_;
  std::int64_t count_ = 0;
  double sum_ = 0;
  double min_ = 0;
  double max_ = 0;
};

// What stays the same during a run.
struct RunFacts {
  std::string source = {};
  std::string model = {};
  bool every_frame = false;
  int threads = 0;
  bool tuned = false;
  std::vector<std::string> labels = {};
};

// When one frame went through which stage.
struct FrameTimes {
  TimePoint arrival;
  TimePoint taken;   // handed out by the camera, decoded
  TimePoint start;   // of the inference
  TimePoint end;     // of the inference
  TimePoint result;  // detections at hand, further work done
};

class Summary {
 public:
  explicit Summary(RunFacts facts) : facts_(std::move(facts)) {}

  void Start(TimePoint now);
  void Add(const FrameTimes& times, const std::vector<Detection>& detections);
  void SetArrived(std::int64_t frames);
  void Finish(TimePoint now);

  // One line of JSON; `now` counts only while the run goes on.
  std::string ToJson(TimePoint now) const;

 private:
  struct Numbers {
    bool started = false;
    bool finished = false;
    TimePoint start, end;
    std::int64_t frames = 0;
    std::int64_t done = 0;
    Distribution inference, latency;
    Distribution decode, prepare, finish;  // what surrounds the inference
    std::map<int, std::int64_t> per_class;
    std::deque<TimePoint> recent;  // results of the last seconds
    std::uint64_t hash = kHashSeed;
    std::vector<std::uint64_t> frame_hashes;
  };

  const RunFacts facts_;
  mutable std::mutex mutex_;
  Numbers numbers_;
};

}  // namespace camera_detector
