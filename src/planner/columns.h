// Column generation (Gilmore, Gomory 1961): the linear program over patterns, to which the pricing
// search (pricing.h) adds those that pay until none is left; then rounding by diving: patterns the
// program uses a whole number of times are taken, and what is left is solved anew. Pure: the solver
// comes in as a function, and how long to go on as a budget.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "planner/pricing.h"

namespace stagger::planner {

struct PatternBudget {
  int rounds = 400;           // of the linear program, at first
  std::size_t nodes = 2'000;  // of one pricing search
  bool prove = true;          // look for the last columns, so that the bound is worth something
  int dives = 6;
  std::size_t classes = 150;  // beyond that many the streams are placed in samples
  std::function<bool()> enough = [] {
    return false;
  };  // asked now and then: stop with what there is
};

struct PatternPlan {
  std::vector<placement::Batch> batches;
  std::uint32_t devices = 0;
  std::uint64_t left = 0;  // parts that fit nowhere
  // No plan that places everything uses fewer devices; 0: not known.
  std::uint32_t least_devices = 0;
};

class ColumnGenerator {
 public:
  ColumnGenerator(const placement::Catalogue& catalogue, const placement::PatternTest& test,
                  placement::Unplaced unplaced, const NewLinearProgram& new_program);

  PatternPlan Plan(const PatternBudget& budget);

  // After Plan(): every pattern that a plan of fewer than `devices` devices may need, for an exact
  // solver; nullopt: more than `most`.
  std::optional<std::vector<placement::Batch>> PatternsBelow(std::uint32_t devices,
                                                             std::size_t most, std::size_t nodes);

 private:
  struct Column {
    placement::TypeId type;
    placement::Pattern pattern;
  };
  struct Solved {
    LinearSolution solution;
    double bound = 0;  // on what any plan costs; 0: not known
    double unplaced = 0;
  };
  bool Add(placement::TypeId type, placement::Pattern pattern);
  void Ask(const placement::Unplaced& unplaced);
  std::optional<Solved> Converge(const placement::Unplaced& unplaced, int rounds, bool prove,
                                 const PatternBudget& budget);
  PatternPlan Dive(const Solved& root, std::uint64_t draw, const PatternBudget& budget);
  void Fill(placement::Batch* batch, const placement::Unplaced& unplaced,
            const std::vector<double>& duals) const;

  const placement::Catalogue& catalogue_;
  const placement::PatternTest& test_;
  const placement::Unplaced unplaced_;
  const std::vector<double> costs_;
  std::vector<Pricer> pricers_;  // by type
  std::unique_ptr<LinearProgram> program_;
  std::vector<Column> columns_;  // after the classes' own columns, for what is not placed
  std::set<std::pair<placement::TypeId, placement::Pattern>> known_;
  std::vector<double> root_duals_;
  double root_bound_ = 0;
};

}  // namespace stagger::planner
