// One device that runs bodies one at a time, the earliest deadline first, without the engine: what
// the admission test promises must hold for it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <queue>
#include <span>
#include <vector>

#include "admission/admission.h"

namespace stagger::admission {

struct Body {
  std::int64_t ready;
  std::int64_t due;
  std::int64_t length;
};

// The deadline that is missed first; nullopt if none is.
inline std::optional<std::int64_t> FirstMiss(std::vector<Body> bodies) {
  std::ranges::sort(bodies, {}, &Body::ready);
  const auto later = [](const Body& a, const Body& b) { return a.due > b.due; };
  std::priority_queue<Body, std::vector<Body>, decltype(later)> waiting(later);
  std::int64_t now = 0;
  for (std::size_t i = 0; i < bodies.size() || !waiting.empty();) {
    if (waiting.empty()) now = std::max(now, bodies[i].ready);
    while (i < bodies.size() && bodies[i].ready <= now) waiting.push(bodies[i++]);
    const Body next = waiting.top();
    waiting.pop();
    now += next.length;
    if (now > next.due) return next.due;
  }
  return std::nullopt;
}

// Frames at begin + k * period until `end`, their bodies ready `late` after that.
inline void Release(const Task& task, std::int64_t begin, std::int64_t late, std::int64_t end,
                    std::vector<Body>* bodies) {
  for (std::int64_t frame = begin; frame < end; frame += task.period.count()) {
    bodies->push_back({frame + late, frame + task.deadline.count(), task.body.count()});
  }
}

// The releases behind a rejection: the blocking body begins, a moment later everybody else whose
// deadline counts is ready at once, as late after its frame as it may be.
inline std::vector<Body> WorstCase(std::span<const Task> tasks, const Admission& verdict) {
  std::vector<Body> bodies;
  const std::int64_t interval = verdict.interval.count();
  constexpr std::int64_t kMoment = 1;
  if (verdict.blocking) {
    bodies.push_back({0, interval * 4, tasks[*verdict.blocking].body.count()});
  }
  for (const Task& task : tasks) {
    const std::int64_t due = (task.deadline - task.jitter).count();
    if (task.period == Duration{} || due > interval) continue;
    std::vector<Body> own;
    Release(task, kMoment - task.jitter.count(), 0, interval - task.deadline.count() + 2, &own);
    for (Body& body : own) body.ready = std::max(body.ready, kMoment);
    bodies.insert(bodies.end(), own.begin(), own.end());
  }
  return bodies;
}

}  // namespace stagger::admission
