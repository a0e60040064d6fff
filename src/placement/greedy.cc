#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "placement/unplaced.h"

namespace stagger::placement {
namespace {

struct Filled {
  Pattern pattern;
  double value = 0;
};

class Filler {
 public:
  Filler(const Catalogue& catalogue, const PatternTest& test, const Unplaced& unplaced)
      : catalogue_(catalogue), test_(test), unplaced_(unplaced) {
    for (TypeId type = 0; type < catalogue.types().size(); ++type) {
      worth_.push_back(WorthOf(catalogue, unplaced, type));
    }
    for (TypeId type = 0; type < catalogue.types().size(); ++type) Order(type);
  }

  // The fullest of several ways to fill one device of `type`.
  Filled Fill(TypeId type) const {
    Filled best;
    for (const std::vector<ClassId>& order : orders_[type]) {
      Filled filled;
      for (const ClassId id : order) {
        const std::uint32_t most = unplaced_.Most(id);
        if (most == 0) continue;
        const std::uint32_t room = test_.RoomFor(type, filled.pattern, id, most);
        if (room == 0) continue;
        AddTo(filled.pattern, id, room);
        filled.value += worth_[type][id] * room;
      }
      if (filled.value > best.value) best = std::move(filled);
    }
    return best;
  }

 private:
  void Order(TypeId type) {
    std::vector<ClassId> able;
    for (ClassId id = 0; id < catalogue_.classes().size(); ++id) {
      if (catalogue_.at(id).on[type].fits && unplaced_.parts[id] > 0) able.push_back(id);
    }
    const auto by = [&](const std::function<double(ClassId)>& key) {
      std::vector<ClassId> order = able;
      std::ranges::stable_sort(order, {}, key);
      orders_[type].push_back(std::move(order));
    };
    const auto task = [&](ClassId id) -> const admission::Task& {
      return catalogue_.at(id).on[type].task;
    };
    orders_.resize(catalogue_.types().size());
    by([&](ClassId id) { return static_cast<double>(task(id).deadline.count()); });
    by([&](ClassId id) { return -static_cast<double>(task(id).body.count()); });
    by([&](ClassId id) { return -worth_[type][id]; });
    by([&](ClassId id) {
      return static_cast<double>((task(id).deadline - task(id).body).count());
    });
  }

  const Catalogue& catalogue_;
  const PatternTest& test_;
  const Unplaced& unplaced_;
  std::vector<std::vector<double>> worth_;                 // by type, class
  std::vector<std::vector<std::vector<ClassId>>> orders_;  // by type
};

}  // namespace

std::vector<double> WorthOf(const Catalogue& catalogue, const Unplaced& unplaced, TypeId type) {
  std::vector<double> worth(catalogue.classes().size(), 0);
  double time = 0;
  double memory = 0;
  const double size = catalogue.types()[type].memory_gb;
  const auto part = [&](ClassId id) {
    return size > 0 ? catalogue.at(id).need.memory_gb / size : 0;
  };
  for (ClassId id = 0; id < worth.size(); ++id) {
    if (!catalogue.at(id).on[type].fits) continue;
    time += catalogue.at(id).on[type].share * unplaced.parts[id];
    memory += part(id) * unplaced.parts[id];
  }
  if (time + memory == 0) return worth;
  const double scarce = time * time / (time * time + memory * memory);
  for (ClassId id = 0; id < worth.size(); ++id) {
    const Part& on = catalogue.at(id).on[type];
    if (on.fits) worth[id] = scarce * on.share + (1 - scarce) * part(id) + 1e-6;
  }
  return worth;
}

double WorkOf(const Catalogue& catalogue, const Pattern& pattern) {
  double work = 0;
  for (const Portion& portion : pattern) {
    const StreamClass& its = catalogue.at(portion.of);
    const double time = its.need.fps * ToMs(its.need.body) / 1e3 / std::max(1, its.parts);
    work += portion.count * (time + its.need.memory_gb / 64);
  }
  return work;
}

bool Unplaced::done() const {
  return std::ranges::all_of(parts, [](std::uint32_t left) { return left == 0; });
}

Pattern Trimmed(const Unplaced& unplaced, const Pattern& pattern) {
  Pattern trimmed;
  for (const Portion& portion : pattern) {
    const std::uint32_t count = std::min(portion.count, unplaced.parts[portion.of]);
    if (count > 0) trimmed.push_back({portion.of, count});
  }
  return trimmed;
}

void Take(Unplaced& unplaced, const Batch& batch) {
  for (const Portion& portion : batch.pattern) {
    std::uint32_t& left = unplaced.parts[portion.of];
    left -= static_cast<std::uint32_t>(
        std::min<std::uint64_t>(left, std::uint64_t{portion.count} * batch.devices));
  }
  unplaced.devices[batch.type] -= batch.devices;
}

std::vector<double> CostOfTypes(const Catalogue& catalogue) {
  double fastest = 0;
  double largest = 0;
  for (const DeviceType& type : catalogue.types()) {
    fastest = std::max(fastest, type.speed);
    largest = std::max(largest, type.memory_gb);
  }
  std::vector<double> costs;
  for (const DeviceType& type : catalogue.types()) {
    const double memory = largest == 0 ? 0 : type.memory_gb > 0 ? type.memory_gb / largest : 1;
    costs.push_back(catalogue.types().size() == 1 ? 1 : 1 + 1e-3 * (type.speed / fastest + memory));
  }
  return costs;
}

std::vector<Batch> FillGreedily(const Catalogue& catalogue, const PatternTest& test,
                                Unplaced& unplaced) {
  std::vector<Batch> batches;
  const std::vector<double> costs = CostOfTypes(catalogue);
  const Filler filler(catalogue, test, unplaced);
  for (;;) {
    Batch best;
    double best_value = 0;
    for (TypeId type = 0; type < catalogue.types().size(); ++type) {
      if (unplaced.devices[type] == 0) continue;
      Filled filled = filler.Fill(type);
      // Worth is of the type's own time and memory; across types the work itself counts.
      const double value = WorkOf(catalogue, filled.pattern) / costs[type] + filled.value * 1e-6;
      if (filled.pattern.empty() || value <= best_value) continue;
      best_value = value;
      best = {type, std::move(filled.pattern), 1};
    }
    if (best_value == 0) return batches;
    std::uint32_t times = unplaced.devices[best.type];
    for (const Portion& portion : best.pattern) {
      times = std::min(times, unplaced.parts[portion.of] / portion.count);
    }
    best.devices = std::max(times, 1U);
    Take(unplaced, best);
    batches.push_back(std::move(best));
  }
}

}  // namespace stagger::placement
