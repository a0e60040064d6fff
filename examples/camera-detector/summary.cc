#include "summary.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace camera_detector {
namespace {

constexpr std::size_t kNewest = 65'536;
constexpr std::size_t kMaxFrameHashes = 100'000;
constexpr auto kRecent = std::chrono::seconds(5);

double Milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

double Round3(double value) { return std::round(value * 1000) / 1000; }

std::string Hex(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

double PerSecond(std::int64_t count, double seconds) {
  return seconds > 0 ? Round3(static_cast<double>(count) / seconds) : 0;
}

}  // namespace

void Distribution::Add(double value) {
  if (newest_.size() < kNewest) {
    newest_.push_back(value);
  } else {
    newest_[static_cast<std::size_t>(count_) % kNewest] = value;
  }
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = count_ == 0 ? value : std::max(max_, value);
  sum_ += value;
  ++count_;
}

double Distribution::mean() const { return empty() ? 0 : sum_ / static_cast<double>(count_); }

double Distribution::Percentile(double fraction) const {
  if (newest_.empty()) return 0;
  std::vector<double> values = newest_;
  const double rank = std::ceil(fraction * static_cast<double>(values.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(std::min(index, values.size() - 1));
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

nlohmann::ordered_json Distribution::ToJson() const {
  if (empty()) return nullptr;
  return {{"min", Round3(min_)},
          {"mean", Round3(mean())},
          {"p50", Round3(Percentile(0.5))},
          {"p99", Round3(Percentile(0.99))},
          {"max", Round3(max_)}};
}

void Summary::Start(TimePoint now) {
  const std::lock_guard lock(mutex_);
  numbers_.started = true;
  numbers_.start = now;
}

void Summary::Add(const FrameTimes& times, const std::vector<Detection>& detections) {
  const std::lock_guard lock(mutex_);
  Numbers& n = numbers_;
  ++n.done;
  n.inference.Add(Milliseconds(times.end - times.start));
  n.latency.Add(Milliseconds(times.result - times.arrival));
  n.decode.Add(Milliseconds(times.taken - times.arrival));
  n.prepare.Add(Milliseconds(times.start - times.taken));
  n.finish.Add(Milliseconds(times.result - times.end));
  for (const Detection& detection : detections) ++n.per_class[detection.class_id];
  n.recent.push_back(times.result);
  while (n.recent.front() < times.result - kRecent) n.recent.pop_front();
  if (facts_.every_frame) {
    n.hash = HashDetections(detections, n.hash);
    if (n.frame_hashes.size() < kMaxFrameHashes) {
      n.frame_hashes.push_back(HashDetections(detections));
    }
  }
}

void Summary::SetArrived(std::int64_t frames) {
  const std::lock_guard lock(mutex_);
  numbers_.frames = frames;
}

void Summary::Finish(TimePoint now) {
  const std::lock_guard lock(mutex_);
  numbers_.finished = true;
  numbers_.end = now;
}

std::string Summary::ToJson(TimePoint now) const {
  Numbers n;
  {
    const std::lock_guard lock(mutex_);
    n = numbers_;
  }
  if (n.finished) now = n.end;
  const double seconds = n.started ? Milliseconds(now - n.start) / 1000 : 0;
  const std::int64_t drops = n.frames - n.done;

  nlohmann::ordered_json json = {
      {"app", "camera-detector"},
      {"source", facts_.source},
      {"model", facts_.model},
      {"mode", facts_.every_frame ? "every-frame" : "live"},
      {"seconds", Round3(seconds)},
      {"frames", n.frames},
      {"done", n.done},
      {"drops", drops},
      {"drop_ratio",
       n.frames > 0 ? static_cast<double>(drops) / static_cast<double>(n.frames) : 0.0},
      {"fps", PerSecond(n.done, seconds)},
      {"inference_ms", n.inference.ToJson()},
      {"latency_ms", n.latency.ToJson()},
      // Means, in the order a frame goes through them.
      {"stages_ms",
       {{"decode", Round3(n.decode.mean())},
        {"prepare", Round3(n.prepare.mean())},
        {"inference", Round3(n.inference.mean())},
        {"finish", Round3(n.finish.mean())}}},
  };
  json["detections"] = nlohmann::ordered_json::object();
  for (const auto& [class_id, count] : n.per_class) {
    const auto index = static_cast<std::size_t>(class_id);
    const bool named = index < facts_.labels.size() && !facts_.labels[index].empty();
    json["detections"][named ? facts_.labels[index] : "class " + std::to_string(class_id)] = count;
  }
  json["threads"] = facts_.threads;
  json["tuned"] = facts_.tuned;
  if (!n.finished) {
    const auto recent = std::count_if(n.recent.begin(), n.recent.end(),
                                      [&](TimePoint t) { return t > now - kRecent; });
    json["recent_fps"] = PerSecond(recent, std::min(seconds, Milliseconds(kRecent) / 1000));
  }
  if (facts_.every_frame && n.finished) {
    json["hash"] = Hex(n.hash);
    for (const std::uint64_t hash : n.frame_hashes) json["frame_hashes"].push_back(Hex(hash));
  }
  // A path may hold any bytes; the summary must be printed all the same.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace camera_detector
