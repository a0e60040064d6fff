// What placement needs of a solver of linear programs; the solver itself lives elsewhere
// (planner/clp.h), since the core links nothing. Minimises cost * x with 0 <= x <= upper and
// low <= row <= high. Kept between solves, so that a solver can go on from where it was.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace stagger::planner {

struct Coefficient {
  int row = 0;
  double value = 0;
};

struct LinearSolution {
  double objective = 0;
  std::vector<double> columns;
  std::vector<double> duals;  // by row: what the objective grows by per unit of the row's bound
};

inline constexpr double kUnbounded = 1e30;

class LinearProgram {
 public:
  LinearProgram() = default;
  LinearProgram(const LinearProgram&) = delete;
  LinearProgram& operator=(const LinearProgram&) = delete;
  virtual ~LinearProgram() = default;

  virtual void AddRow(double low, double high) = 0;
  virtual void AddColumn(double cost, double upper, std::span<const Coefficient> entries) = 0;
  virtual void SetRow(int row, double low, double high) = 0;
  virtual void SetColumn(int column, double cost, double upper) = 0;
  // nullopt: no solution, or none found.
  virtual std::optional<LinearSolution> Minimise() = 0;
};

using NewLinearProgram = std::function<std::unique_ptr<LinearProgram>()>;

}  // namespace stagger::planner
