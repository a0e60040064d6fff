#include "lab/sim/executor_queue.h"

#include <algorithm>
#include <tuple>

#include "batching/batch_choice.h"

namespace stagger::sim {

ExecutorQueue::ExecutorQueue(const Scenario& scenario, std::size_t executor)
    : curve_(batching::BatchCurve::Known(scenario.executors[executor].curve)),
      max_batch_(scenario.executors[executor].max_batch) {
  for (const StreamModel& stream : scenario.streams) {
    if (stream.executor != executor || stream.deadline == Duration{}) continue;
    patience_ = std::min(patience_, stream.deadline - stream.post - *curve_.Typical(1));
  }
}

void ExecutorQueue::Add(std::uint32_t app, TimePoint due) {
  const Waiting waiting{due, arrivals_++, app};
  const auto before = [](const Waiting& a, const Waiting& b) {
    return std::tie(a.due, a.arrival) < std::tie(b.due, b.arrival);
  };
  waiting_.insert(std::ranges::upper_bound(waiting_, waiting, before), waiting);
}

ExecutorQueue::Batch ExecutorQueue::Take(TimePoint now) {
  std::vector<batching::WaitingRequest> requests;
  const Duration alone = *curve_.Typical(1);
  for (const Waiting& waiting : waiting_) requests.push_back({waiting.due, alone, 1, true});
  const batching::BatchChoice choice = batching::ChooseBatch(
      requests, curve_, {.max_items = max_batch_, .patience = patience_}, now);
  Batch batch{{}, *curve_.Typical(choice.items)};
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(choice.count);
  for (auto member = waiting_.begin(); member != end; ++member) batch.apps.push_back(member->app);
  waiting_.erase(waiting_.begin(), end);
  return batch;
}

}  // namespace stagger::sim
