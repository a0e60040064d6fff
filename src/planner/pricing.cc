#include "planner/pricing.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

namespace stagger::planner {
namespace {

constexpr std::size_t kMostDeadlines = 24;  // that get a row
constexpr double kTiny = 1e-9;
constexpr double kLargeFirst = 1.1;

}  // namespace

Pricer::Pricer(const placement::Catalogue& catalogue, const placement::PatternTest& test,
               placement::TypeId type, const NewLinearProgram& new_program)
    : catalogue_(catalogue), test_(test), type_(type) {
  const std::size_t classes = catalogue.classes().size();
  std::set<Duration::rep> deadlines;
  for (placement::ClassId id = 0; id < classes; ++id) {
    const placement::StreamClass& stream = catalogue.at(id);
    if (!stream.on[type].fits) continue;
    able_.push_back(id);
    deadlines.insert(stream.on[type].task.deadline.count());
  }
  std::ranges::stable_sort(able_, std::greater<>(), [&](placement::ClassId id) {
    return catalogue.at(id).on[type].task.body;
  });
  const auto row = [&](auto value, Duration::rep deadline = 0) {
    row_deadlines_.push_back(deadline);
    std::vector<double> values(classes, 0);
    for (const placement::ClassId id : able_) values[id] = value(catalogue.at(id));
    rows_.push_back(std::move(values));
  };
  row([&](const placement::StreamClass& stream) { return stream.on[type].share; });
  // Where a device may swap, memory is no limit to begin with.
  if (const double size = catalogue.types()[type].memory_gb; size > 0 && !catalogue.swapping()) {
    row([&](const placement::StreamClass& stream) { return stream.need.memory_gb / size; });
  }
  const std::size_t every = deadlines.size() / kMostDeadlines + 1;
  std::size_t seen = 0;
  for (const Duration::rep time : deadlines) {
    if (seen++ % every != 0) continue;
    row(
        [&](const placement::StreamClass& stream) {
          const admission::Task& task = stream.on[type].task;
          if (task.deadline.count() > time) return 0.0;
          const auto times = (time - task.deadline.count()) / task.period.count() + 1;
          return static_cast<double>(times * task.body.count()) / static_cast<double>(time);
        },
        time);
  }
  program_ = new_program();
  for (std::size_t i = 0; i < rows_.size(); ++i) program_->AddRow(-kUnbounded, 1);
  for (const placement::ClassId id : able_) {
    std::vector<Coefficient> entries;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i][id] > 0) entries.push_back({static_cast<int>(i), rows_[i][id]});
    }
    program_->AddColumn(0, 0, entries);
  }
}

void Pricer::Prepare(const std::vector<double>& worth, const placement::Unplaced& unplaced,
                     std::optional<placement::ClassId> longest) {
  items_.clear();
  longest_ = longest;
  const admission::Task* blocks = longest ? &catalogue_.at(*longest).on[type_].task : nullptr;
  bool passed = blocks == nullptr;
  for (std::size_t i = 0; i < able_.size(); ++i) {
    const placement::ClassId id = able_[i];
    const admission::Task& task = catalogue_.at(id).on[type_].task;
    passed |= longest == id;
    // Both the longest body and each other one must have the time to wait for the other.
    const bool goes =
        passed && (blocks == nullptr || longest == id ||
                   task.body + blocks->body <= std::min(task.deadline, blocks->deadline));
    const std::uint32_t most = goes && worth[id] > kTiny ? unplaced.Most(id) : 0;
    program_->SetColumn(static_cast<int>(i), -worth[id], most);
    if (most > 0) items_.push_back({id, worth[id], 0, most});
  }
  std::vector<double> room(rows_.size(), 1);
  for (std::size_t i = 0; i < rows_.size() && blocks != nullptr; ++i) {
    const Duration::rep time = row_deadlines_[i];
    if (time == 0 || time >= blocks->deadline.count()) continue;
    room[i] -= static_cast<double>(blocks->body.count()) / static_cast<double>(time);
    room[i] = std::max(room[i], 0.0);
  }
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    program_->SetRow(static_cast<int>(i), -kUnbounded, room[i]);
  }
  // The rows weighed by their duals make one row, with the same bound.
  std::vector<double> duals(rows_.size(), 1.0 / static_cast<double>(rows_.size()));
  if (const std::optional<LinearSolution> solution = program_->Minimise()) {
    for (std::size_t i = 0; i < rows_.size(); ++i) duals[i] = std::max(0.0, -solution->duals[i]);
  }
  double sum = 0;
  for (const double dual : duals) sum += dual;
  if (sum < kTiny) duals[0] = 1;
  capacity_ = kTiny;
  for (std::size_t i = 0; i < rows_.size(); ++i) capacity_ += duals[i] * room[i];
  for (Item& item : items_) {
    for (std::size_t i = 0; i < rows_.size(); ++i) item.weight += duals[i] * rows_[i][item.of];
    item.weight = std::max(item.weight, kTiny);
  }
  std::ranges::stable_sort(
      items_, [](const Item& a, const Item& b) { return a.worth * b.weight > b.worth * a.weight; });
}

double Pricer::BoundFrom(std::size_t item, double capacity) const {
  double value = 0;
  for (; item < items_.size() && capacity > 0; ++item) {
    const Item& next = items_[item];
    const double count = std::min<double>(next.most, capacity / next.weight);
    value += count * next.worth;
    capacity -= count * next.weight;
  }
  return value + kTiny;
}

// Whether nothing more fits. One that is part of another is not worth having beside it.
bool Pricer::Maximal() const {
  return std::ranges::none_of(items_, [&](const Item& item) {
    const auto has = std::ranges::find(stack_, item.of, &placement::Portion::of);
    const bool more = has == stack_.end() || has->count < item.most;
    return more && test_.RoomFor(type_, stack_, item.of, 1) > 0;
  });
}

void Pricer::Search(std::size_t item, double value, double capacity) {
  const bool whole =
      !longest_ || std::ranges::count(stack_, *longest_, &placement::Portion::of) > 0;
  if (whole && value > best_.value + kTiny) {
    best_.value = value;
    best_.pattern = stack_;
  }
  const auto over = [&](double bound) {
    return bound > (all_ != nullptr ? least_ : best_.value + kTiny);
  };
  // Passes by those that do not fit.
  std::uint32_t count = 0;
  for (; item < items_.size(); ++item) {
    const Item& next = items_[item];
    const auto reach = static_cast<std::uint32_t>(
        std::min<double>(next.most, std::max(0.0, capacity / next.weight + 1e-6)));
    if (reach == 0) continue;
    if (!over(value + BoundFrom(item, capacity))) return;
    count = test_.RoomFor(type_, stack_, next.of, reach);
    if (count > 0) break;
  }
  if (item == items_.size()) {
    if (all_ == nullptr || value <= least_ || !whole || !Maximal()) return;
    if (all_->size() == most_patterns_) {
      cut_short_ = true;
      return;
    }
    all_->push_back(stack_);
    std::ranges::sort(all_->back());
    return;
  }
  if (nodes_left_ == 0) {
    cut_short_ = true;
    return;
  }
  --nodes_left_;
  const Item& next = items_[item];
  // Fewer of the best only lowers what can be reached.
  for (; !cut_short_; --count) {
    const double left = capacity - count * next.weight;
    if (!over(value + count * next.worth + BoundFrom(item + 1, left))) return;
    if (count > 0) stack_.push_back({next.of, count});
    Search(item + 1, value + count * next.worth, left);
    if (count > 0) stack_.pop_back();
    if (count == 0) return;
  }
}

void Pricer::SearchAll(const std::vector<double>& worth, const placement::Unplaced& unplaced,
                       std::size_t nodes, bool thorough) {
  best_ = {};
  root_bound_ = 0;
  bool ever_cut = false;
  const auto search = [&](std::optional<placement::ClassId> longest) {
    Prepare(worth, unplaced, longest);
    const double bound = BoundFrom(0, capacity_);
    nodes_left_ = nodes;
    cut_short_ = false;
    stack_.clear();
    Search(0, 0, capacity_);
    if (cut_short_) root_bound_ = std::max(root_bound_, bound);
    ever_cut |= cut_short_;
  };
  if (!thorough) {
    search(std::nullopt);
  } else {
    for (const placement::ClassId id : able_) {
      if (worth[id] > kTiny && unplaced.Most(id) > 0) search(id);
    }
  }
  cut_short_ = ever_cut;
}

Pricer::Priced Pricer::Best(const std::vector<double>& worth, const placement::Unplaced& unplaced,
                            std::size_t nodes, bool thorough) {
  all_ = nullptr;
  SearchAll(worth, unplaced, nodes, thorough);
  best_.bound = std::max(root_bound_, best_.value) + kTiny;
  std::ranges::sort(best_.pattern);
  return best_;
}

std::optional<std::vector<placement::Pattern>> Pricer::AllOver(double least,
                                                               const std::vector<double>& worth,
                                                               const placement::Unplaced& unplaced,
                                                               std::size_t most,
                                                               std::size_t nodes) {
  std::vector<placement::Pattern> all;
  least_ = least;
  all_ = &all;
  most_patterns_ = most;
  SearchAll(worth, unplaced, nodes, true);
  all_ = nullptr;
  if (cut_short_) return std::nullopt;
  return all;
}

std::vector<placement::Batch> FillBySearch(const placement::Catalogue& catalogue,
                                           const placement::PatternTest& test,
                                           placement::Unplaced& unplaced,
                                           const NewLinearProgram& new_program, std::size_t nodes) {
  std::vector<placement::Batch> batches;
  const std::vector<double> costs = placement::CostOfTypes(catalogue);
  std::vector<Pricer> pricers;
  std::vector<std::vector<double>> worth;
  for (placement::TypeId type = 0; type < costs.size(); ++type) {
    pricers.emplace_back(catalogue, test, type, new_program);
    worth.push_back(placement::WorthOf(catalogue, unplaced, type));
    // Two that fill as much as one are easier to find room for.
    for (double& value : worth.back()) value = std::pow(value, kLargeFirst);
  }
  for (;;) {
    placement::Batch best;
    double most = 0;
    for (placement::TypeId type = 0; type < costs.size(); ++type) {
      if (unplaced.devices[type] == 0) continue;
      placement::Pattern pattern = pricers[type].Best(worth[type], unplaced, nodes, false).pattern;
      const double work = placement::WorkOf(catalogue, pattern) / costs[type];
      if (work <= most) continue;
      most = work;
      best = {type, std::move(pattern), 1};
    }
    if (most == 0) return batches;
    placement::Take(unplaced, best);
    batches.push_back(std::move(best));
  }
}

}  // namespace stagger::planner
