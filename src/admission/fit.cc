#include "admission/fit.h"

#include <cmath>
#include <cstdio>
#include <vector>

namespace stagger::admission {
namespace {

// Beyond this many only those that the verdict names are tried: each costs a bisection.
constexpr std::size_t kTryAll = 64;

double Fps(const Task& task) { return 1e9 / static_cast<double>(task.period.count()); }

std::string Number(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
}

std::string Late(std::span<const NamedTask> tasks, const Admission& verdict) {
  const NamedTask& late = tasks[*verdict.binding];
  std::string text = late.name + " at " + Number(Fps(late.task), 3) + " fps does not fit: ";
  if (verdict.blocking) {
    const NamedTask& blocking = tasks[*verdict.blocking];
    text += blocking.name + "'s " + Number(ToMs(blocking.task.body), 3) +
            " ms body would make it late: ";
  }
  return text + Number(ToMs(verdict.demand), 4) + " ms of bodies are due within " +
         Number(ToMs(verdict.interval), 4) + " ms";
}

std::string Reason(std::span<const NamedTask> tasks, const Admission& verdict) {
  if (verdict.admitted) return "every body ends in time, whenever frames come";
  if (verdict.binding && verdict.decided == Admission::Test::kExact) return Late(tasks, verdict);
  if (verdict.decided == Admission::Test::kOverload) {
    return "bodies need " + Number(verdict.utilisation, 3) + " times what the device can do";
  }
  return "too close to a full device to tell";
}

// Which stream, slowed down alone, would make everything fit with the least loss of its rate.
std::optional<Fit::Nearest> NearestFit(std::span<const NamedTask> named,
                                       std::span<const Task> tasks, const Admission& verdict) {
  std::optional<Fit::Nearest> nearest;
  double least_loss = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (tasks.size() > kTryAll && i != verdict.binding && i != verdict.blocking) continue;
    if (tasks[i].period == Duration{}) continue;
    const std::optional<double> fps = HighestRate(tasks, i, named[i].deadline_follows);
    if (!fps) continue;
    const double loss = 1 - *fps / Fps(tasks[i]);
    if (nearest && loss >= least_loss) continue;
    nearest = {i, RoundedDown(*fps)};
    least_loss = loss;
  }
  return nearest;
}

}  // namespace

double RoundedDown(double fps) {
  const double unit = std::pow(10, std::floor(std::log10(fps)) - 2);
  return std::floor(fps / unit + 1e-9) * unit;
}

Fit JudgeFit(std::span<const NamedTask> named) {
  std::vector<Task> tasks;
  tasks.reserve(named.size());
  for (const NamedTask& task : named) tasks.push_back(task.task);
  const Admission verdict = Admit(tasks);
  Fit fit;
  fit.admitted = verdict.admitted;
  fit.utilisation = verdict.utilisation;
  fit.reason = Reason(named, verdict);
  if (fit.admitted) return fit;
  if (verdict.binding) {
    fit.binding = verdict.binding;
    fit.interval = verdict.interval;
  }
  fit.nearest = NearestFit(named, tasks, verdict);
  fit.reason += fit.nearest ? "; fits with " + named[fit.nearest->which].name + " at " +
                                  Number(fit.nearest->fps, 3) + " fps"
                            : "; no lower rate of one stream alone would help";
  return fit;
}

}  // namespace stagger::admission
