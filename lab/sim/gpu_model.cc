#include "lab/sim/gpu_model.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace stagger::sim {

void GpuModel::Advance(TimePoint now) {
  CHECK(now >= now_);
  const double passed = static_cast<double>((now - now_).count());
  now_ = now;
  if (passed == 0) return;
  for (Job& job : jobs_) job.left = std::max(0.0, job.left - passed / slowdown(job));
}

void GpuModel::Start(std::size_t job, Phase phase, Duration work, double demand) {
  jobs_.push_back({job, phase, static_cast<double>(work.count()), demand});
  Rate();
}

void GpuModel::Finish(std::size_t job) {
  const auto found = std::ranges::find(jobs_, job, &Job::id);
  CHECK(found != jobs_.end());
  jobs_.erase(found);
  Rate();
}

std::optional<std::pair<TimePoint, std::size_t>> GpuModel::NextCompletion() const {
  const Job* next = nullptr;
  double least = 0;
  for (const Job& job : jobs_) {
    const double left = job.left * slowdown(job);
    if (next == nullptr || left < least || (left == least && job.id < next->id)) {
      next = &job;
      least = left;
    }
  }
  if (next == nullptr) return std::nullopt;
  // Rounded up: at that instant the work is done.
  return std::pair{now_ + Duration{static_cast<Duration::rep>(std::ceil(least))}, next->id};
}

Duration GpuModel::Left(std::size_t job) const {
  return Duration{static_cast<Duration::rep>(std::ceil(Find(job).left))};
}

TimePoint GpuModel::EarliestEnd(std::size_t job) const {
  const auto [at, first] = *NextCompletion();
  if (first == job) return at;
  const Job& found = Find(job);
  const double left = found.left - static_cast<double>((at - now_).count()) / slowdown(found);
  return at + Duration{static_cast<Duration::rep>(std::max(0.0, left))};
}

const GpuModel::Job& GpuModel::Find(std::size_t job) const {
  const auto found = std::ranges::find(jobs_, job, &Job::id);
  CHECK(found != jobs_.end());
  return *found;
}

void GpuModel::Rate() {
  double demand = 0;
  int bodies = 0;
  for (const Job& job : jobs_) {
    if (job.phase != Phase::kBody) continue;
    demand += job.demand;
    ++bodies;
  }
  const auto posts = static_cast<double>(jobs_.size()) - bodies;
  body_slowdown_ = std::max(1.0, demand) * (1 + model_.sigma * std::max(0.0, demand - 1)) +
                   model_.w * posts * std::min(1.0, demand);
  post_slowdown_ = 1 + model_.g * bodies;
}

}  // namespace stagger::sim
