#include "planner/make_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace stagger::planner {
namespace {

// Up to so many a device is tried for closing; beyond, the emptiest so many.
constexpr std::size_t kCloseTries = 60;
// Streams placed together where there are more classes than that, and how hard.
constexpr std::size_t kChunk = 300;
constexpr std::size_t kFillNodes = 400;

placement::Unplaced UnplacedOf(const placement::Board& board,
                               const placement::Catalogue& catalogue) {
  placement::Unplaced unplaced;
  unplaced.parts.assign(catalogue.classes().size(), 0);
  unplaced.streams = unplaced.parts;
  for (std::uint32_t i = 0; i < board.needs().size(); ++i) {
    const placement::ClassId id = board.class_of(i);
    unplaced.parts[id] += static_cast<std::uint32_t>(catalogue.at(id).parts);
    ++unplaced.streams[id];
  }
  for (const placement::DeviceType& type : catalogue.types()) {
    unplaced.devices.push_back(static_cast<std::uint32_t>(type.devices.size()));
  }
  return unplaced;
}

// Streams into the places that patterns have for their class. The parts of a stream go to different
// devices, since no pattern has more parts of a class than there are streams and places are dealt
// out in turn.
void DealOut(placement::Board& board, const placement::Catalogue& catalogue,
             const std::vector<placement::Batch>& batches) {
  std::vector<std::vector<std::uint32_t>> members(catalogue.classes().size());
  for (std::uint32_t i = 0; i < board.needs().size(); ++i) {
    members[board.class_of(i)].push_back(i);
  }
  std::vector<placement::PlacedOn> on(board.needs().size());
  std::vector<std::size_t> dealt(members.size(), 0);
  std::vector<std::size_t> next_device(catalogue.types().size(), 0);
  for (const placement::Batch& batch : batches) {
    for (std::uint32_t n = 0; n < batch.devices; ++n) {
      const std::uint32_t device = catalogue.types()[batch.type].devices[next_device[batch.type]++];
      for (const placement::Portion& portion : batch.pattern) {
        const std::vector<std::uint32_t>& ids = members[portion.of];
        const std::size_t all =
            ids.size() * static_cast<std::size_t>(catalogue.at(portion.of).parts);
        std::size_t& at = dealt[portion.of];
        for (std::uint32_t i = 0; i < portion.count && at < all; ++i, ++at) {
          on[ids[at % ids.size()]].push_back(device);
        }
      }
    }
  }
  for (std::uint32_t i = 0; i < on.size(); ++i) {
    if (static_cast<int>(on[i].size()) != catalogue.at(board.class_of(i)).parts) continue;
    if (!on[i].empty()) board.Put(i, on[i]);
  }
}

// By device time alone, and by memory alone.
std::uint32_t LeastByVolume(const placement::Board& board, const placement::Catalogue& catalogue) {
  double time = 0;
  double memory = 0;
  double largest = 0;
  for (const placement::DeviceType& type : catalogue.types()) {
    largest = type.memory_gb > 0 && largest >= 0 ? std::max(largest, type.memory_gb) : -1;
  }
  for (std::uint32_t i = 0; i < board.needs().size(); ++i) {
    const placement::StreamClass& its = catalogue.at(board.class_of(i));
    double least = 1;
    for (const placement::Part& part : its.on)
      least = part.fits ? std::min(least, part.share) : least;
    time += least * its.parts;
    memory += its.need.memory_gb * its.parts;
  }
  const bool limited = largest > 0 && !catalogue.swapping();
  const double devices = std::max(time, limited ? memory / largest : 0);
  return static_cast<std::uint32_t>(std::ceil(devices - 1e-6));
}

placement::Plan PlanByFilling(const placement::PlacementProblem& problem,
                              const NewLinearProgram& new_program, bool swapping) {
  placement::Board board(problem, swapping);
  const placement::Catalogue& catalogue = board.catalogue();
  placement::Unplaced unplaced = UnplacedOf(board, catalogue);
  DealOut(board, catalogue,
          new_program ? FillBySearch(catalogue, board.test(), unplaced, new_program, kFillNodes)
                      : placement::FillGreedily(catalogue, board.test(), unplaced));
  board.PlaceTheRest();
  return board.plan();
}

// Where nearly every stream is of its own kind patterns repeat nowhere, and the linear program gets
// slow: the streams are dealt into samples of all, each of which is placed by itself on the devices
// that the ones before left.
placement::Plan PlanByChunks(const placement::PlacementProblem& problem,
                             const placement::Catalogue& catalogue,
                             const NewLinearProgram& new_program, const PatternBudget& budget) {
  std::vector<std::uint32_t> order(problem.streams.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](std::uint32_t i) {
    return static_cast<double>(problem.streams[i].body.count()) * problem.streams[i].fps;
  });
  double slowest = 1;
  for (const placement::DeviceType& type : catalogue.types())
    slowest = std::min(slowest, type.speed);
  const std::size_t chunks = (order.size() + kChunk - 1) / kChunk;
  placement::Plan plan{std::vector<placement::PlacedOn>(problem.streams.size())};
  std::vector<std::vector<std::uint32_t>> free;  // by type, the last ones first to go
  for (const placement::DeviceType& type : catalogue.types()) {
    free.emplace_back(type.devices.rbegin(), type.devices.rend());
  }
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
    placement::PlacementProblem part;
    std::vector<std::uint32_t> streams;
    std::vector<std::uint32_t> devices;
    for (std::size_t i = chunk; i < order.size(); i += chunks) {
      streams.push_back(order[i]);
      part.streams.push_back(problem.streams[order[i]]);
      // Without names, which cost time to copy and say nothing here.
      part.streams.back().name.clear();
      part.streams.back().app.clear();
    }
    // No more of a type than there are parts.
    std::size_t parts = 0;
    for (const placement::StreamNeed& need : part.streams) {
      parts += static_cast<std::size_t>(placement::PartsOn(need, slowest));
    }
    for (const std::vector<std::uint32_t>& list : free) {
      for (std::size_t i = 0; i < std::min(parts, list.size()); ++i) {
        devices.push_back(list[list.size() - 1 - i]);
        part.devices.push_back(problem.devices[devices.back()]);
      }
    }
    std::vector<bool> used(devices.size(), false);
    const bool search = new_program && !budget.enough();
    const placement::Plan made =
        PlanByFilling(part, search ? new_program : nullptr, catalogue.swapping());
    for (std::size_t i = 0; i < streams.size(); ++i) {
      for (const std::uint32_t device : made.streams[i]) {
        plan.streams[streams[i]].push_back(devices[device]);
        used[device] = true;
      }
    }
    std::size_t at = 0;
    for (std::vector<std::uint32_t>& list : free) {
      const std::size_t offered = std::min(parts, list.size());
      list.resize(list.size() - offered);
      for (std::size_t i = offered; i-- > 0;) {
        if (!used[at + i]) list.push_back(devices[at + i]);
      }
      at += offered;
    }
  }
  return plan;
}

placement::MadePlan MakeOne(const placement::PlacementProblem& problem,
                            const NewLinearProgram& new_program, const PatternBudget& budget,
                            bool swapping) {
  placement::MadePlan made;
  placement::Board board(problem, swapping);
  const placement::Catalogue& catalogue = board.catalogue();
  placement::Unplaced unplaced = UnplacedOf(board, catalogue);
  std::vector<placement::Batch> batches;
  if (catalogue.classes().size() > budget.classes) {
    made.method = new_program ? placement::PlanMethod::kChunks : placement::PlanMethod::kGreedy;
    const placement::Plan plan = PlanByChunks(problem, catalogue, new_program, budget);
    for (std::uint32_t i = 0; i < plan.streams.size(); ++i) {
      if (!plan.streams[i].empty()) board.Put(i, plan.streams[i]);
    }
  } else if (new_program) {
    PatternPlan found =
        ColumnGenerator(catalogue, board.test(), unplaced, new_program).Plan(budget);
    batches = std::move(found.batches);
    made.least_devices = found.least_devices;
    made.method = placement::PlanMethod::kPatterns;
  } else {
    batches = placement::FillGreedily(catalogue, board.test(), unplaced);
  }
  made.least_devices = std::max(made.least_devices, LeastByVolume(board, catalogue));
  DealOut(board, catalogue, batches);
  board.PlaceTheRest();
  if (board.devices_used() > made.least_devices) board.Close(kCloseTries);
  board.Shrink();
  made.plan = board.plan();
  return made;
}

}  // namespace

placement::MadePlan MakePlan(const placement::PlacementProblem& problem,
                             const NewLinearProgram& new_program, const PatternBudget& budget) {
  const auto make = [&](bool swapping) { return MakeOne(problem, new_program, budget, swapping); };
  return placement::SwapWhereBetter(problem, make, [](const placement::MadePlan& made) {
    return placement::DevicesUsed(made.plan);
  });
}

}  // namespace stagger::planner
