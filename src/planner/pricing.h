// The most valuable pattern for a device, given what one part of each class is worth: the
// subproblem of column generation. A depth-first search over counts with the exact test as filter,
// cut off by a linear bound. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "placement/unplaced.h"
#include "planner/linear_program.h"

namespace stagger::planner {

class Pricer {
 public:
  // Of one device type.
  Pricer(const placement::Catalogue& catalogue, const placement::PatternTest& test,
         placement::TypeId type, const NewLinearProgram& new_program);

  struct Priced {
    placement::Pattern pattern;
    double value = 0;
    double bound = 0;  // no pattern is worth more
  };
  // `worth` by class; at most `nodes` steps, for each longest body if `thorough`. Classes that
  // `unplaced` has no more of are left out.
  Priced Best(const std::vector<double>& worth, const placement::Unplaced& unplaced,
              std::size_t nodes, bool thorough);

  // Every pattern worth more than `least` to which nothing can be added, up to `most` of them;
  // nullopt: there are more, or more steps than `nodes` would be needed.
  std::optional<std::vector<placement::Pattern>> AllOver(double least,
                                                         const std::vector<double>& worth,
                                                         const placement::Unplaced& unplaced,
                                                         std::size_t most, std::size_t nodes);

 private:
  struct Item {
    placement::ClassId of;
    double worth;
    double weight;
    std::uint32_t most;
  };
  // For patterns whose longest body is `longest`'s: those that hold at least one of it, and none
  // longer. Every deadline before its own then loses its body's time, which tightens the bound a
  // lot. nullopt: for all patterns.
  void Prepare(const std::vector<double>& worth, const placement::Unplaced& unplaced,
               std::optional<placement::ClassId> longest);
  void SearchAll(const std::vector<double>& worth, const placement::Unplaced& unplaced,
                 std::size_t nodes, bool thorough);
  double BoundFrom(std::size_t item, double capacity) const;
  bool Maximal() const;
  void Search(std::size_t item, double value, double capacity);

  const placement::Catalogue& catalogue_;
  const placement::PatternTest& test_;
  const placement::TypeId type_;
  // Linear rows that every pattern keeps: device time, memory, and what must be done by some
  // deadlines.
  std::vector<std::vector<double>> rows_;     // by row, class; at most 1 in all
  std::vector<Duration::rep> row_deadlines_;  // by row; 0: none
  std::vector<placement::ClassId> able_;      // the longest body first
  std::unique_ptr<LinearProgram> program_;

  std::vector<Item> items_;  // by worth per weight, the best first
  double capacity_ = 0;
  double root_bound_ = 0;  // of all searches that were cut short
  std::optional<placement::ClassId> longest_;
  placement::Pattern stack_;
  Priced best_;
  double least_ = 0;
  std::vector<placement::Pattern>* all_ = nullptr;
  std::size_t most_patterns_ = 0;
  std::size_t nodes_left_ = 0;
  bool cut_short_ = false;
};

// Fills one device after the other, each as full as a search of `nodes` steps can, those hard to
// place first: for streams of which nearly each is of its own kind. What does not fit is left in
// `unplaced`.
std::vector<placement::Batch> FillBySearch(const placement::Catalogue& catalogue,
                                           const placement::PatternTest& test,
                                           placement::Unplaced& unplaced,
                                           const NewLinearProgram& new_program, std::size_t nodes);

}  // namespace stagger::planner
