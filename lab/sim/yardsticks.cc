#include "lab/sim/yardsticks.h"

#include <algorithm>
#include <cmath>
#include <coin/CbcModel.hpp>
#include <coin/OsiClpSolverInterface.hpp>
#include <map>
#include <numeric>

#include "placement/board.h"
#include "planner/clp.h"
#include "planner/columns.h"

namespace stagger::sim {
namespace {

using placement::Batch;
using placement::Catalogue;
using placement::ClassId;
using placement::StreamClass;
using placement::TypeId;
using placement::Unplaced;

placement::Unplaced UnplacedOf(placement::Catalogue& catalogue,
                               const placement::PlacementProblem& problem) {
  placement::Unplaced unplaced;
  std::map<placement::ClassId, std::uint32_t> streams;
  for (const placement::StreamNeed& need : problem.streams) ++streams[catalogue.ClassOf(need)];
  unplaced.parts.assign(catalogue.classes().size(), 0);
  unplaced.streams = unplaced.parts;
  for (const auto& [id, count] : streams) {
    unplaced.streams[id] = count;
    unplaced.parts[id] = count * static_cast<std::uint32_t>(catalogue.at(id).parts);
  }
  for (const placement::DeviceType& type : catalogue.types()) {
    unplaced.devices.push_back(static_cast<std::uint32_t>(type.devices.size()));
  }
  return unplaced;
}

// The fewest devices with these patterns, if fewer than `upper`; nullopt: ran out of time.
std::optional<std::uint32_t> SolveInteger(const std::vector<placement::Batch>& patterns,
                                          const placement::Unplaced& unplaced, std::uint32_t upper,
                                          double most_seconds) {
  OsiClpSolverInterface solver;
  solver.setHintParam(OsiDoReducePrint, true, OsiHintTry);
  solver.messageHandler()->setLogLevel(0);
  const std::size_t classes = unplaced.parts.size();
  CoinPackedMatrix matrix(true, 0, 0);
  matrix.setDimensions(static_cast<int>(classes + unplaced.devices.size()), 0);
  std::vector<double> low;
  std::vector<double> high;
  for (const std::uint32_t parts : unplaced.parts) {
    low.push_back(parts);
    high.push_back(COIN_DBL_MAX);
  }
  for (const std::uint32_t devices : unplaced.devices) {
    low.push_back(-COIN_DBL_MAX);
    high.push_back(devices);
  }
  for (const placement::Batch& batch : patterns) {
    CoinPackedVector column;
    for (const placement::Portion& portion : batch.pattern) {
      column.insert(static_cast<int>(portion.of), portion.count);
    }
    column.insert(static_cast<int>(classes + batch.type), 1);
    matrix.appendCol(column);
  }
  const std::vector<double> zeros(patterns.size(), 0);
  const std::vector<double> most(patterns.size(), upper);
  const std::vector<double> ones(patterns.size(), 1);
  solver.loadProblem(matrix, zeros.data(), most.data(), ones.data(), low.data(), high.data());
  for (std::size_t i = 0; i < patterns.size(); ++i) solver.setInteger(static_cast<int>(i));
  CbcModel model(solver);
  model.setLogLevel(0);
  model.solver()->messageHandler()->setLogLevel(0);
  model.setMaximumSeconds(most_seconds);
  model.setCutoff(upper - 0.5);
  model.branchAndBound();
  if (model.status() != 0) return std::nullopt;
  if (model.isProvenInfeasible() || model.bestSolution() == nullptr) return upper;
  return static_cast<std::uint32_t>(std::lround(model.getObjValue()));
}

}  // namespace

placement::Plan FirstFitDecreasing(const placement::PlacementProblem& problem) {
  placement::Catalogue catalogue(problem.devices);
  std::vector<placement::ClassId> class_of;
  for (const placement::StreamNeed& need : problem.streams)
    class_of.push_back(catalogue.ClassOf(need));
  std::vector<std::uint32_t> order(problem.streams.size());
  std::iota(order.begin(), order.end(), 0);
  const auto heaviness = [&](std::uint32_t stream) {
    const placement::StreamNeed& need = problem.streams[stream];
    return -need.fps * ToMs(need.body) / std::max(1, catalogue.at(class_of[stream]).parts);
  };
  std::ranges::stable_sort(order, {}, heaviness);
  placement::Plan plan{std::vector<placement::PlacedOn>(problem.streams.size())};
  std::vector<double> share(problem.devices.size(), 0);
  std::vector<double> memory(problem.devices.size(), 0);
  // Devices only get fuller: where one of a class found no room, the next finds none either.
  std::vector<std::uint32_t> from(catalogue.classes().size(), 0);
  for (const std::uint32_t stream : order) {
    const placement::StreamClass& its = catalogue.at(class_of[stream]);
    placement::PlacedOn& on = plan.streams[stream];
    std::uint32_t device = from[class_of[stream]];
    bool first = true;
    for (; device < problem.devices.size() && static_cast<int>(on.size()) < its.parts; ++device) {
      const placement::TypeId type = catalogue.type_of(device);
      const double part = its.on[type].share;
      if (!its.on[type].fits || share[device] + part > 1 + 1e-9 ||
          !catalogue.FitsMemory(type, memory[device] + its.need.memory_gb)) {
        continue;
      }
      if (first) from[class_of[stream]] = device;
      first = false;
      share[device] += part;
      memory[device] += its.need.memory_gb;
      on.push_back(device);
    }
    if (static_cast<int>(on.size()) < its.parts) on.clear();
  }
  return plan;
}

std::optional<Optimum> LeastDevices(const placement::PlacementProblem& problem, std::uint32_t upper,
                                    std::size_t most_patterns, double most_seconds) {
  placement::Catalogue catalogue(problem.devices);
  const placement::Unplaced unplaced = UnplacedOf(catalogue, problem);
  const placement::PatternTest test(catalogue);
  planner::ColumnGenerator generator(catalogue, test, unplaced, planner::NewClp);
  planner::PatternBudget budget;
  budget.rounds = 5'000;
  budget.nodes = 20'000;
  budget.dives = 1;
  const planner::PatternPlan relaxed = generator.Plan(budget);
  if (relaxed.left > 0 || relaxed.least_devices == 0) return std::nullopt;
  upper = std::min(upper, relaxed.devices);
  if (relaxed.least_devices >= upper) return Optimum{upper, 0};
  const auto patterns = generator.PatternsBelow(upper, most_patterns, 20 * most_patterns);
  if (!patterns) return std::nullopt;
  const auto devices = SolveInteger(*patterns, unplaced, upper, most_seconds);
  if (!devices) return std::nullopt;
  return Optimum{*devices, patterns->size()};
}

}  // namespace stagger::sim
