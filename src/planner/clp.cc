#include "planner/clp.h"

#include <coin/ClpSimplex.hpp>
#include <coin/CoinHelperFunctions.hpp>

namespace stagger::planner {
namespace {

class Clp : public planner::LinearProgram {
 public:
  Clp() {
    model_.setLogLevel(0);
    model_.setOptimizationDirection(1);
    // Slightly moved costs help on degenerate programs; ours are small, and want exact duals.
    model_.setPerturbation(100);
  }

  void AddRow(double low, double high) override {
    model_.addRow(0, nullptr, nullptr, Bound(low), Bound(high));
  }

  void AddColumn(double cost, double upper,
                 std::span<const planner::Coefficient> entries) override {
    rows_.clear();
    values_.clear();
    for (const planner::Coefficient& entry : entries) {
      rows_.push_back(entry.row);
      values_.push_back(entry.value);
    }
    model_.addColumn(static_cast<int>(rows_.size()), rows_.data(), values_.data(), 0, Bound(upper),
                     cost);
  }

  void SetRow(int row, double low, double high) override {
    model_.setRowBounds(row, Bound(low), Bound(high));
  }

  void SetColumn(int column, double cost, double upper) override {
    model_.setObjectiveCoefficient(column, cost);
    model_.setColumnBounds(column, 0, Bound(upper));
  }

  std::optional<planner::LinearSolution> Minimise() override {
    model_.primal();
    if (!model_.isProvenOptimal()) {
      model_.dual();
      if (!model_.isProvenOptimal()) return std::nullopt;
    }
    planner::LinearSolution solution;
    solution.objective = model_.objectiveValue();
    const double* columns = model_.primalColumnSolution();
    solution.columns.assign(columns, columns + model_.numberColumns());
    const double* duals = model_.dualRowSolution();
    solution.duals.assign(duals, duals + model_.numberRows());
    return solution;
  }

 private:
  static double Bound(double value) {
    if (value >= planner::kUnbounded) return COIN_DBL_MAX;
    return value <= -planner::kUnbounded ? -COIN_DBL_MAX : value;
  }

  ClpSimplex model_;
  std::vector<int> rows_;
  std::vector<double> values_;
};

}  // namespace

std::unique_ptr<planner::LinearProgram> NewClp() { return std::make_unique<Clp>(); }

}  // namespace stagger::planner
