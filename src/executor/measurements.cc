#include "executor/measurements.h"

#include <algorithm>

namespace stagger::executor {
namespace {

template <typename T>
void Keep(std::vector<T>* ring, std::size_t* next, const T& value) {
  if (ring->size() < Measurements::kWindow) {
    ring->push_back(value);
    return;
  }
  (*ring)[*next] = value;
  *next = (*next + 1) % Measurements::kWindow;
}

}  // namespace

void Measurements::Add(const std::string& app, Duration own, Duration took) {
  ++inferences_;
  Ring& ring = apps_[app];
  if (++ring.inferences <= kWarmup) return;
  Keep(&ring.latest, &ring.next, own);
  Keep(&spent_, &next_spent_, {own, std::max(own, took)});
}

std::map<std::string, Measurements::App> Measurements::Apps() const {
  std::map<std::string, App> apps;
  for (const auto& [name, ring] : apps_) {
    App& app = apps[name];
    app.inferences = ring.inferences;
    app.samples = ring.latest.size();
    if (ring.latest.empty()) continue;
    std::vector<Duration> sorted = ring.latest;
    std::ranges::sort(sorted);
    app.body = sorted[(sorted.size() * 9 - 1) / 10];
  }
  return apps;
}

double Measurements::pace() const {
  Spent sum;
  for (const Spent& one : spent_) {
    sum.own += one.own;
    sum.took += one.took;
  }
  if (sum.own < kLeastTime) return 1;
  return static_cast<double>(sum.own.count()) / static_cast<double>(sum.took.count());
}

}  // namespace stagger::executor
