#include "core/placement/pricing.h"

#include <algorithm>
#include <set>

namespace stagger::core {
namespace {

constexpr std::size_t kMostDeadlines = 24;  // that get a row
constexpr double kTiny = 1e-9;

}  // namespace

Pricer::Pricer(const Catalogue& catalogue, const PatternTest& test, TypeId type,
               const NewLinearProgram& new_program)
    : catalogue_(catalogue), test_(test), type_(type) {
  const std::size_t classes = catalogue.classes().size();
  std::set<Duration::rep> deadlines;
  for (ClassId id = 0; id < classes; ++id) {
    const StreamClass& stream = catalogue.at(id);
    if (!stream.on[type].fits) continue;
    able_.push_back(id);
    deadlines.insert(stream.on[type].task.deadline.count());
  }
  const auto row = [&](auto value) {
    std::vector<double> values(classes, 0);
    for (const ClassId id : able_) values[id] = value(catalogue.at(id));
    rows_.push_back(std::move(values));
  };
  row([&](const StreamClass& stream) { return stream.on[type].share; });
  if (const double size = catalogue.types()[type].memory_gb; size > 0) {
    row([&](const StreamClass& stream) { return stream.need.memory_gb / size; });
  }
  const std::size_t every = deadlines.size() / kMostDeadlines + 1;
  std::size_t seen = 0;
  for (const Duration::rep time : deadlines) {
    if (seen++ % every != 0) continue;
    row([&](const StreamClass& stream) {
      const Task& task = stream.on[type].task;
      if (task.deadline.count() > time) return 0.0;
      const auto times = (time - task.deadline.count()) / task.period.count() + 1;
      return static_cast<double>(times * task.body.count()) / static_cast<double>(time);
    });
  }
  program_ = new_program();
  for (std::size_t i = 0; i < rows_.size(); ++i) program_->AddRow(-kUnbounded, 1);
  for (const ClassId id : able_) {
    std::vector<Coefficient> entries;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i][id] > 0) entries.push_back({static_cast<int>(i), rows_[i][id]});
    }
    program_->AddColumn(0, 0, entries);
  }
}

void Pricer::Prepare(const std::vector<double>& worth, const PlacementDemand& demand) {
  items_.clear();
  for (std::size_t i = 0; i < able_.size(); ++i) {
    const ClassId id = able_[i];
    const std::uint32_t most = worth[id] > kTiny ? demand.Most(id) : 0;
    program_->SetColumn(static_cast<int>(i), -worth[id], most);
    if (most > 0) items_.push_back({id, worth[id], 0, most});
  }
  // The rows weighed by their duals make one row, with the same bound.
  std::vector<double> duals(rows_.size(), 1.0 / static_cast<double>(rows_.size()));
  if (const std::optional<LinearSolution> solution = program_->Minimise()) {
    for (std::size_t i = 0; i < rows_.size(); ++i) duals[i] = std::max(0.0, -solution->duals[i]);
  }
  capacity_ = 0;
  for (const double dual : duals) capacity_ += dual;
  if (capacity_ < kTiny) capacity_ = duals[0] = 1;
  for (Item& item : items_) {
    for (std::size_t i = 0; i < rows_.size(); ++i) item.weight += duals[i] * rows_[i][item.of];
    item.weight = std::max(item.weight, kTiny);
  }
  std::ranges::stable_sort(items_, [](const Item& a, const Item& b) {
    return a.worth * b.weight > b.worth * a.weight;
  });
  root_bound_ = BoundFrom(0, capacity_);
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
    const auto has = std::ranges::find(stack_, item.of, &Portion::of);
    const bool more = has == stack_.end() || has->count < item.most;
    return more && test_.RoomFor(type_, stack_, item.of, 1) > 0;
  });
}

void Pricer::Search(std::size_t item, double value, double capacity) {
  if (value > best_.value + kTiny) {
    best_.value = value;
    best_.pattern = stack_;
  }
  if (item == items_.size()) {
    if (all_ != nullptr && value > least_ && Maximal()) {
      if (all_->size() == most_patterns_) {
        cut_short_ = true;
        return;
      }
      all_->push_back(stack_);
      std::ranges::sort(all_->back());
    }
    return;
  }
  if (nodes_left_ == 0) {
    cut_short_ = true;
    return;
  }
  --nodes_left_;
  const Item& next = items_[item];
  std::uint32_t count = 0;
  const auto over = [&](std::uint32_t taken) {
    const double bound = value + taken * next.worth +
                         BoundFrom(item + 1, capacity - taken * next.weight);
    return bound > (all_ != nullptr ? least_ : best_.value + kTiny);
  };
  const auto reach = static_cast<std::uint32_t>(
      std::min<double>(next.most, std::max(0.0, capacity / next.weight + 1e-6)));
  if (reach > 0) count = test_.RoomFor(type_, stack_, next.of, reach);
  // Fewer of the best only lowers what can be reached.
  for (; !cut_short_ && over(count); --count) {
    if (count > 0) stack_.push_back({next.of, count});
    Search(item + 1, value + count * next.worth, capacity - count * next.weight);
    if (count > 0) stack_.pop_back();
    if (count == 0) break;
  }
}

Pricer::Priced Pricer::Best(const std::vector<double>& worth, const PlacementDemand& demand,
                            std::size_t nodes) {
  Prepare(worth, demand);
  best_ = {};
  all_ = nullptr;
  nodes_left_ = nodes;
  cut_short_ = false;
  stack_.clear();
  Search(0, 0, capacity_);
  best_.bound = cut_short_ ? root_bound_ : best_.value + kTiny;
  std::ranges::sort(best_.pattern);
  return best_;
}

std::optional<std::vector<Pattern>> Pricer::AllOver(double least, const std::vector<double>& worth,
                                                    const PlacementDemand& demand, std::size_t most,
                                                    std::size_t nodes) {
  Prepare(worth, demand);
  std::vector<Pattern> all;
  best_ = {};
  least_ = least;
  all_ = &all;
  most_patterns_ = most;
  nodes_left_ = nodes;
  cut_short_ = false;
  stack_.clear();
  Search(0, 0, capacity_);
  all_ = nullptr;
  if (cut_short_) return std::nullopt;
  return all;
}

}  // namespace stagger::core
