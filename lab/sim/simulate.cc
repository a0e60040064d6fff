#include "lab/sim/simulate.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "lab/sim/device_run.h"

namespace stagger::sim {
namespace {

// Adds up runs as they end, in any order: everything added is a whole number or a maximum.
class Sum {
 public:
  explicit Sum(const Scenario& scenario)
      : groups_(GroupNames(scenario)), devices_(scenario.devices.size()) {
    outcome_.groups = groups_;
    outcome_.of_group.resize(groups_.size());
  }

  void Add(int draw, Result<DeviceResult> result) {
    const std::scoped_lock lock(mutex_);
    if (!result) {
      if (!error_) error_ = result.error();
      return;
    }
    body_time_ += result->body_time;
    over_time_ += result->over_time;
    outcome_.steps += result->steps;
    outcome_.batches += result->batches;
    std::vector<std::int64_t>& done = outcome_.done_by_second;
    done.resize(std::max(done.size(), result->done_by_second.size()));
    for (std::size_t i = 0; i < result->done_by_second.size(); ++i) {
      done[i] += result->done_by_second[i];
    }
    Draw& open = open_[draw];
    open.groups.resize(groups_.size());
    for (std::size_t i = 0; i < groups_.size(); ++i) open.groups[i].Merge(result->groups[i]);
    if (++open.devices < devices_) return;
    Tally all;
    for (const Tally& group : open.groups) all.Merge(group);
    all.EndDraw();
    outcome_.all.Merge(all);
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      open.groups[i].EndDraw();
      outcome_.of_group[i].Merge(open.groups[i]);
    }
    open_.erase(draw);
  }

  Result<Outcome> Take() {
    if (error_) return *error_;
    if (body_time_ > Duration{}) {
      outcome_.overlap_ratio =
          static_cast<double>(over_time_.count()) / static_cast<double>(body_time_.count());
    }
    return std::move(outcome_);
  }

 private:
  struct Draw {
    std::vector<Tally> groups;
    std::size_t devices = 0;  // that have ended
  };

  std::mutex mutex_;
  const std::vector<std::string> groups_;
  const std::size_t devices_;
  std::map<int, Draw> open_;
  Outcome outcome_;
  Duration body_time_{};
  Duration over_time_{};
  std::optional<Error> error_;
};

}  // namespace

Result<Outcome> Simulate(const Scenario& scenario, std::uint64_t seed, unsigned threads) {
  const std::size_t devices = scenario.devices.size();
  const std::size_t runs = devices * static_cast<std::size_t>(scenario.draws);
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  Sum sum(scenario);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t run; (run = next.fetch_add(1)) < runs;) {
      const int draw = static_cast<int>(run / devices);
      sum.Add(draw, RunDevice(scenario, run % devices, seed, draw));
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < std::min<std::size_t>(threads, runs); ++i)
      others.emplace_back(work);
    work();
  }
  return sum.Take();
}

}  // namespace stagger::sim
