#include "planner/columns.h"

#include <algorithm>
#include <cmath>

namespace stagger::planner {
namespace {

constexpr double kWhole = 1e-6;
constexpr double kPays = 1e-7;
// What a part costs that is not placed: more than any device.
constexpr double kUnplaced = 100;

double Noise(std::uint64_t draw, std::size_t of) {
  std::uint64_t z = draw * 0x9e3779b97f4a7c15 + of * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

std::uint64_t Sum(const std::vector<std::uint32_t>& counts) {
  std::uint64_t sum = 0;
  for (const std::uint32_t count : counts) sum += count;
  return sum;
}

}  // namespace

ColumnGenerator::ColumnGenerator(const placement::Catalogue& catalogue,
                                 const placement::PatternTest& test, placement::Unplaced unplaced,
                                 const NewLinearProgram& new_program)
    : catalogue_(catalogue),
      test_(test),
      unplaced_(std::move(unplaced)),
      costs_(placement::CostOfTypes(catalogue)),
      program_(new_program()) {
  for (placement::TypeId type = 0; type < catalogue.types().size(); ++type) {
    pricers_.emplace_back(catalogue, test, type, new_program);
  }
  // A row per class, then one per type.
  const std::size_t classes = catalogue.classes().size();
  for (const std::uint32_t parts : unplaced_.parts) program_->AddRow(parts, kUnbounded);
  for (const std::uint32_t devices : unplaced_.devices) program_->AddRow(-kUnbounded, devices);
  for (placement::ClassId id = 0; id < classes; ++id) {
    const Coefficient one{static_cast<int>(id), 1};
    program_->AddColumn(kUnplaced / std::max(1, catalogue.at(id).parts), kUnbounded, {&one, 1});
  }
  placement::Unplaced left = unplaced_;
  for (placement::Batch& batch : placement::FillGreedily(catalogue, test, left)) {
    Add(batch.type, std::move(batch.pattern));
  }
  for (placement::TypeId type = 0; type < catalogue.types().size(); ++type) {
    for (placement::ClassId id = 0; id < classes; ++id) {
      const std::uint32_t count = test.RoomFor(type, {}, id, unplaced_.Most(id));
      if (count > 0) Add(type, {{id, count}});
    }
  }
}

bool ColumnGenerator::Add(placement::TypeId type, placement::Pattern pattern) {
  if (!known_.emplace(type, pattern).second) return false;
  std::vector<Coefficient> entries;
  for (const placement::Portion& portion : pattern) {
    entries.push_back({static_cast<int>(portion.of), static_cast<double>(portion.count)});
  }
  entries.push_back({static_cast<int>(catalogue_.classes().size() + type), 1});
  program_->AddColumn(costs_[type], kUnbounded, entries);
  columns_.push_back({type, std::move(pattern)});
  return true;
}

void ColumnGenerator::Ask(const placement::Unplaced& unplaced) {
  const std::size_t classes = catalogue_.classes().size();
  for (std::size_t i = 0; i < classes; ++i) {
    program_->SetRow(static_cast<int>(i), unplaced.parts[i], kUnbounded);
  }
  for (std::size_t i = 0; i < unplaced.devices.size(); ++i) {
    program_->SetRow(static_cast<int>(classes + i), -kUnbounded, unplaced.devices[i]);
  }
}

std::optional<ColumnGenerator::Solved> ColumnGenerator::Converge(
    const placement::Unplaced& unplaced, int rounds, bool prove, const PatternBudget& budget) {
  Ask(unplaced);
  const std::size_t classes = catalogue_.classes().size();
  Solved solved;
  for (int round = 0;; ++round) {
    std::optional<LinearSolution> solution = program_->Minimise();
    if (!solution) return std::nullopt;
    solved.solution = std::move(*solution);
    if (round >= rounds || budget.enough()) return solved;
    const std::vector<double>& duals = solved.solution.duals;
    bool found = false;
    double dearest = 1;
    for (const auto& [nodes, thorough] :
         {std::pair(budget.nodes / 10, false), std::pair(budget.nodes, false),
          std::pair(budget.nodes / 4, true)}) {
      if (thorough && (!prove || budget.enough())) continue;
      dearest = 1;
      for (placement::TypeId type = 0; type < pricers_.size(); ++type) {
        if (unplaced.devices[type] == 0) continue;
        Pricer::Priced priced = pricers_[type].Best(duals, unplaced, nodes, thorough);
        const double rent = duals[classes + type];
        dearest = std::max(dearest, (priced.bound + rent) / costs_[type]);
        if (priced.value + rent > costs_[type] + kPays)
          found |= Add(type, std::move(priced.pattern));
      }
      if (found) break;
    }
    if (found) continue;
    solved.bound = solved.solution.objective / dearest;  // Farley 1990
    for (std::size_t i = 0; i < classes; ++i) solved.unplaced += solved.solution.columns[i];
    return solved;
  }
}

// A pattern of which only a part is asked for may have room for more.
void ColumnGenerator::Fill(placement::Batch* batch, const placement::Unplaced& unplaced,
                           const std::vector<double>& duals) const {
  std::vector<placement::ClassId> order;
  for (placement::ClassId id = 0; id < unplaced.parts.size(); ++id) {
    if (unplaced.parts[id] > 0 && catalogue_.at(id).on[batch->type].fits) order.push_back(id);
  }
  std::ranges::stable_sort(
      order, [&](placement::ClassId a, placement::ClassId b) { return duals[a] > duals[b]; });
  for (const placement::ClassId id : order) {
    const auto has = std::ranges::find(batch->pattern, id, &placement::Portion::of);
    const std::uint32_t count = has == batch->pattern.end() ? 0 : has->count;
    if (count >= unplaced.Most(id)) continue;
    const std::uint32_t more =
        test_.RoomFor(batch->type, batch->pattern, id, unplaced.Most(id) - count);
    if (more > 0) placement::AddTo(batch->pattern, id, more);
  }
}

PatternPlan ColumnGenerator::Dive(const Solved& root, std::uint64_t draw,
                                  const PatternBudget& budget) {
  PatternPlan plan;
  placement::Unplaced left = unplaced_;
  Solved solved = root;
  const std::size_t classes = catalogue_.classes().size();
  while (!left.done()) {
    const std::vector<double>& x = solved.solution.columns;
    std::vector<placement::Batch> taken;
    std::optional<std::size_t> largest;
    double largest_x = kWhole;
    for (std::size_t i = 0; i < columns_.size() && classes + i < x.size(); ++i) {
      const double times = std::floor(x[classes + i] + kWhole);
      if (times >= 1) {
        taken.push_back({columns_[i].type, columns_[i].pattern, static_cast<std::uint32_t>(times)});
      } else if (const double wish = x[classes + i] * (draw == 0 ? 1 : 0.5 + Noise(draw, i));
                 wish > largest_x) {
        largest_x = wish;
        largest = i;
      }
    }
    if (taken.empty() && largest) {
      taken.push_back({columns_[*largest].type, columns_[*largest].pattern, 1});
    }
    if (taken.empty()) break;
    for (placement::Batch& batch : taken) {
      // Whole as long as all of it is asked for; then what is left of it, filled up.
      while (batch.devices > 0 && left.devices[batch.type] > 0) {
        std::uint32_t whole = std::min(batch.devices, left.devices[batch.type]);
        for (const placement::Portion& portion : batch.pattern) {
          whole = std::min(whole, left.parts[portion.of] / portion.count);
        }
        placement::Batch now{batch.type, batch.pattern, std::max(whole, 1U)};
        if (whole == 0) {
          now.pattern = placement::Trimmed(left, batch.pattern);
          if (now.pattern.empty()) break;
          Fill(&now, left, solved.solution.duals);
        }
        batch.devices -= now.devices;
        placement::Take(left, now);
        plan.devices += now.devices;
        plan.batches.push_back(std::move(now));
      }
    }
    if (left.done()) break;
    std::optional<Solved> next = Converge(left, 12, false, budget);
    if (!next) break;
    solved = std::move(*next);
  }
  plan.left = Sum(left.parts);
  return plan;
}

PatternPlan ColumnGenerator::Plan(const PatternBudget& budget) {
  placement::Unplaced left = unplaced_;
  PatternPlan best;
  best.batches = placement::FillGreedily(catalogue_, test_, left);
  for (const placement::Batch& batch : best.batches) best.devices += batch.devices;
  best.left = Sum(left.parts);
  const std::optional<Solved> root = Converge(unplaced_, budget.rounds, budget.prove, budget);
  if (!root) return best;
  const double dearest = *std::ranges::max_element(costs_);
  if (root->bound > 0 && root->unplaced < kWhole) {
    root_duals_ = root->solution.duals;
    root_bound_ = root->bound;
    best.least_devices = static_cast<std::uint32_t>(std::ceil(root->bound / dearest - kWhole));
  }
  const std::uint32_t least = best.least_devices;
  const auto cost = [&](const PatternPlan& plan) {
    double sum = static_cast<double>(plan.left) * kUnplaced;
    for (const placement::Batch& batch : plan.batches) sum += costs_[batch.type] * batch.devices;
    return sum;
  };
  double best_cost = cost(best);
  for (int draw = 0; draw < budget.dives && !budget.enough(); ++draw) {
    if (best.left == 0 && least > 0 && best_cost < root_bound_ + 1 - kWhole && draw > 0) break;
    PatternPlan plan = Dive(*root, static_cast<std::uint64_t>(draw), budget);
    if (const double its = cost(plan); its < best_cost - 1e-9) {
      best_cost = its;
      best = std::move(plan);
    }
  }
  best.least_devices = least;
  return best;
}

std::optional<std::vector<placement::Batch>> ColumnGenerator::PatternsBelow(std::uint32_t devices,
                                                                            std::size_t most,
                                                                            std::size_t nodes) {
  if (root_duals_.empty()) return std::nullopt;
  // A plan that costs less than `devices` has no column whose reduced cost is over the gap.
  const double gap =
      static_cast<double>(devices) - 1 + 1e-6 - root_bound_ + 0.01 * static_cast<double>(devices);
  std::vector<placement::Batch> patterns;
  for (placement::TypeId type = 0; type < pricers_.size(); ++type) {
    const double rent = root_duals_[catalogue_.classes().size() + type];
    const std::optional<std::vector<placement::Pattern>> all = pricers_[type].AllOver(
        costs_[type] - rent - gap, root_duals_, unplaced_, most - patterns.size(), nodes);
    if (!all) return std::nullopt;
    for (const placement::Pattern& pattern : *all) patterns.push_back({type, pattern, 1});
  }
  return patterns;
}

}  // namespace stagger::planner
