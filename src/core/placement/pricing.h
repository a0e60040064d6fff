// The most valuable pattern for a device, given what one part of each class is worth: the
// subproblem of column generation. A depth-first search over counts with the exact test as filter,
// cut off by a linear bound. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/placement/demand.h"
#include "core/placement/linear_program.h"

namespace stagger::core {

class Pricer {
 public:
  // Of one device type.
  Pricer(const Catalogue& catalogue, const PatternTest& test, TypeId type,
         const NewLinearProgram& new_program);

  struct Priced {
    Pattern pattern;
    double value = 0;
    double bound = 0;  // no pattern is worth more
  };
  // `worth` by class; at most `nodes` steps. Classes that `demand` has no more of are left out.
  Priced Best(const std::vector<double>& worth, const PlacementDemand& demand, std::size_t nodes);

  // Every pattern worth more than `least` to which nothing can be added, up to `most` of them; nullopt: there are more, or more
  // steps than `nodes` would be needed.
  std::optional<std::vector<Pattern>> AllOver(double least, const std::vector<double>& worth,
                                              const PlacementDemand& demand, std::size_t most,
                                              std::size_t nodes);

 private:
  struct Item {
    ClassId of;
    double worth;
    double weight;
    std::uint32_t most;
  };
  void Prepare(const std::vector<double>& worth, const PlacementDemand& demand);
  double BoundFrom(std::size_t item, double capacity) const;
  bool Maximal() const;
  void Search(std::size_t item, double value, double capacity);

  const Catalogue& catalogue_;
  const PatternTest& test_;
  const TypeId type_;
  // Linear rows that every pattern keeps: device time, memory, and what must be done by some
  // deadlines.
  std::vector<std::vector<double>> rows_;  // by row, class; at most 1 in all
  std::vector<ClassId> able_;
  std::unique_ptr<LinearProgram> program_;

  std::vector<Item> items_;  // by worth per weight, the best first
  double capacity_ = 0;
  double root_bound_ = 0;
  Pattern stack_;
  Priced best_;
  double least_ = 0;
  std::vector<Pattern>* all_ = nullptr;
  std::size_t most_patterns_ = 0;
  std::size_t nodes_left_ = 0;
  bool cut_short_ = false;
};

}  // namespace stagger::core
