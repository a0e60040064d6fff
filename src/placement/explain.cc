#include "placement/explain.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <tuple>

#include "admission/fit.h"

namespace stagger::placement {
namespace {

constexpr std::size_t kMostKinds = 64;
constexpr std::size_t kMostDevices = 48;  // looked at for a stream that has no place
constexpr int kSteps = 10;                // of a bisection

std::string Number(double value, int digits = 3) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
}
std::string Ms(Duration time) { return Number(ToMs(time)) + " ms"; }
std::string Percent(double ratio) { return Number(ratio * 100) + " %"; }

// Never upwards.
std::string Down(double value) { return Number(admission::RoundedDown(value)); }
std::string Up(double value) {
  const double unit = std::pow(10, std::floor(std::log10(value)) - 2);
  return Number(std::ceil(value / unit - 1e-9) * unit);
}

bool Fits(const PlanDevice& device, const DeviceTasks& serves, const StreamNeed& need, int parts) {
  const std::optional<admission::Task> task = PartOn(need, parts, device.speed, serves.swaps);
  if (!task || !Suits(need.kind, device.kind) || !MaySplit(need, parts)) return false;
  // A device that does not swap yet does not begin to for what is only asked.
  const double memory = need.memory_gb + (serves.swaps ? 0 : serves.memory_gb);
  if (device.memory_gb > 0 && memory > device.memory_gb + kMemorySlack) return false;
  if (serves.swaps && !MaySwap(need, device.kind)) return false;
  std::vector<admission::Task> tasks = serves.tasks;
  tasks.push_back(*task);
  return admission::Admit(tasks).admitted;
}

// The greatest x in (0, 1) with fits(x), to 1 %; nullopt: not even a hundredth.
template <typename Fits>
std::optional<double> Greatest(const Fits& fits) {
  double low = 0.01;
  if (!fits(low)) return std::nullopt;
  double high = 1;
  for (int step = 0; step < kSteps && high / low > 1.005; ++step) {
    const double middle = std::sqrt(low * high);
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace

Margin MarginOf(std::span<const admission::Task> tasks) {
  Margin margin;
  if (tasks.empty()) return {kMostGrowth, std::nullopt};
  std::vector<admission::Task> grown(tasks.begin(), tasks.end());
  const auto verdict = [&](double growth) {
    for (std::size_t i = 0; i < grown.size(); ++i) {
      grown[i].body = Duration{static_cast<Duration::rep>(
          std::ceil(static_cast<double>(tasks[i].body.count()) * (1 + growth)))};
    }
    return admission::Admit(grown);
  };
  double high = kMostGrowth;
  if (const admission::Admission at_most = verdict(high); at_most.admitted)
    return {high, std::nullopt};
  admission::Admission binds;
  for (int step = 0; step < kSteps + 2; ++step) {
    const double middle = (margin.growth + high) / 2;
    admission::Admission said = verdict(middle);
    if (said.admitted) {
      margin.growth = middle;
    } else {
      high = middle;
      binds = said;
    }
  }
  margin.binding = binds.binding;
  return margin;
}

std::uint32_t RoomFor(const PlacementProblem& problem, const DeviceTasks& serves,
                      std::uint32_t device, std::uint32_t like, std::uint32_t most) {
  DeviceTasks more = serves;
  const StreamNeed& need = problem.streams[like];
  const PlanDevice& on = problem.devices[device];
  const std::optional<admission::Task> task = PartOn(need, 1, on.speed, serves.swaps);
  for (std::uint32_t room = 0; room < most; ++room) {
    if (!task || !Fits(on, more, need, 1)) return room;
    more.tasks.push_back(*task);
    more.memory_gb += need.memory_gb;
  }
  return most;
}

std::string InWords(const PlacementProblem& problem, const Room& room, std::uint32_t most) {
  static constexpr const char* kNumbers[] = {"no", "one", "two", "three", "four", "five", "six"};
  const auto number = [](std::uint32_t n) {
    return n < std::size(kNumbers) ? std::string(kNumbers[n]) : std::to_string(n);
  };
  const StreamNeed& need = problem.streams[room.like];
  const std::string camera = Number(need.fps) + " fps " + need.app + " camera";
  if (room.more == 0) return "no more " + camera + " fits";
  if (room.more >= most) return "at least " + number(room.more) + " more " + camera + "s fit";
  return number(room.more) + " more " + camera + (room.more == 1 ? " fits; " : "s fit; ") +
         number(room.more + 1) + " need another GPU";
}

Explainer::Explainer(const PlacementProblem& problem, const Plan& plan)
    : problem_(problem), plan_(plan), devices_(TasksOf(problem, plan)) {
  std::set<std::tuple<double, Duration, Duration, Duration, Duration>> seen;
  for (std::uint32_t i = 0; i < problem.streams.size() && kinds_.size() < kMostKinds; ++i) {
    const StreamNeed& need = problem.streams[i];
    if (seen.emplace(need.fps, need.pre, need.body, need.post, need.deadline).second) {
      kinds_.push_back(i);
    }
  }
  std::vector<std::pair<double, std::uint32_t>> room;
  for (std::uint32_t i = 0; i < problem.devices.size(); ++i) {
    double used = 0;
    for (const admission::Task& task : devices_[i].tasks) {
      used += static_cast<double>(task.body.count()) / static_cast<double>(task.period.count());
    }
    room.emplace_back((used - 1) * problem.devices[i].speed, i);
  }
  std::ranges::sort(room);
  for (std::size_t i = 0; i < std::min(room.size(), kMostDevices); ++i) {
    roomiest_.push_back(room[i].second);
  }
}

std::string Explainer::Alone(std::uint32_t stream, std::uint32_t device) const {
  const PlanDevice& on = problem_.devices[device];
  const admission::Task own = devices_[device].tasks.front();
  Duration shortest = Duration::max();  // body of another
  Duration longest_due{};               // of another that it blocks
  Duration shortest_beside = Duration::max();
  std::size_t blocked = 0;
  std::size_t others = 0;
  bool memory = false;
  for (const std::uint32_t other : kinds_) {
    if (other == stream) continue;
    const StreamNeed& need = problem_.streams[other];
    if (!Suits(need.kind, on.kind)) continue;
    const std::optional<admission::Task> task = PartOn(need, PartsOn(need, on.speed), on.speed);
    if (!task) continue;
    ++others;
    shortest = std::min(shortest, task->body);
    if (task->body + own.body > task->deadline) {
      ++blocked;
      longest_due = std::max(longest_due, task->deadline);
      shortest_beside = std::min(shortest_beside, task->body);
    }
    memory |= !Fits(on, {{}, {}, devices_[device].memory_gb}, need, PartsOn(need, on.speed));
  }
  if (others == 0) return "alone on " + on.name;
  if (own.body + shortest > own.deadline) {
    return "alone because its body, due within " + Ms(own.deadline) +
           ", cannot wait for another: " + "the shortest takes " + Ms(shortest) + ", its own " +
           Ms(own.body);
  }
  if (blocked == others) {
    return "alone because its body of " + Ms(own.body) + " blocks every deadline under " +
           Ms(own.body + shortest_beside) + ", and no other body has more than " + Ms(longest_due);
  }
  const double used =
      static_cast<double>(own.body.count()) / static_cast<double>(own.period.count());
  return "alone on " + on.name + ", " + Percent(used) + " used by its bodies" +
         (memory ? "; memory keeps others away" : "; the others go together elsewhere");
}

std::string Explainer::Placed(std::uint32_t stream) const {
  const PlacedOn& on = plan_.streams[stream];
  const StreamNeed& need = problem_.streams[stream];
  std::string text;
  if (on.size() > 1) {
    double speed = problem_.devices[on.front()].speed;
    for (const std::uint32_t device : on) speed = std::min(speed, problem_.devices[device].speed);
    text = "split in " + std::to_string(on.size()) + ": " + Ms(CycleOn(need, speed)) +
           " per frame, a frame every " + Number(1000 / need.fps) + " ms";
    return text;
  }
  const std::uint32_t device = on.front();
  const DeviceTasks& serves = devices_[device];
  if (serves.tasks.size() == 1) return Alone(stream, device);
  double used = 0;
  for (const admission::Task& task : serves.tasks) {
    used += static_cast<double>(task.body.count()) / static_cast<double>(task.period.count());
  }
  const std::size_t others = serves.tasks.size() - 1;
  return "beside " + std::to_string(others) + (others == 1 ? " other on " : " others on ") +
         problem_.devices[device].name + ": bodies fill " + Percent(used) +
         " of it, and every one ends in time" +
         (serves.swaps
              ? "; memory is short of all their models, so each may have to be loaded first"
              : "");
}

bool Explainer::FitsSomewhere(const StreamNeed& need) const {
  return std::ranges::any_of(roomiest_, [&](std::uint32_t device) {
    const PlanDevice& on = problem_.devices[device];
    return PartsOn(need, on.speed) == 1 && Fits(on, devices_[device], need, 1);
  });
}

std::string Explainer::Nowhere(std::uint32_t stream) const {
  const StreamNeed& need = problem_.streams[stream];
  if (problem_.devices.empty()) return "does not fit anywhere: there is no device";
  double largest = 0;
  double most_free = 0;
  for (std::size_t i = 0; i < problem_.devices.size(); ++i) {
    const double size = problem_.devices[i].memory_gb > 0 ? problem_.devices[i].memory_gb : 1e9;
    largest = std::max(largest, size);
    most_free = std::max(most_free, size - devices_[i].memory_gb);
  }
  std::vector<std::string> helps;
  StreamNeed small = need;
  if (need.memory_gb > most_free + kMemorySlack) {
    helps.push_back("memory from " + Number(need.memory_gb) + " to \u2264 " +
                    (most_free > 0.005 ? Down(most_free) : "0") + " GB");
    small.memory_gb = 0;
  }
  const std::string and_memory = helps.empty() ? "" : " and ";
  const bool memory_alone = !helps.empty() && FitsSomewhere(small);
  std::vector<std::string> changes;
  if (memory_alone) {
    changes.push_back("lower " + helps.front());
  } else {
    const std::string also = helps.empty() ? "" : helps.front() + and_memory;
    const auto body = Greatest([&](double part) {
      StreamNeed less = small;
      less.body = std::max(
          Duration{1},
          Duration{static_cast<Duration::rep>(static_cast<double>(need.body.count()) * part)});
      return FitsSomewhere(less);
    });
    if (body) {
      changes.push_back("lower " + also + "body from " + Number(ToMs(need.body)) + " to \u2264 " +
                        Down(ToMs(need.body) * *body) + " ms");
    }
    const auto rate = Greatest([&](double part) {
      StreamNeed less = small;
      less.fps = need.fps * part;
      return FitsSomewhere(less);
    });
    if (rate) {
      changes.push_back((body ? "" : "lower " + also) + std::string("rate from ") +
                        Number(need.fps) + " to \u2264 " + Down(need.fps * *rate) + " fps");
    }
  }
  // A device of its own: of a kind that is there, or as fast as it must be.
  const PlanDevice* like = nullptr;
  int parts = 0;
  for (const PlanDevice& device : problem_.devices) {
    const int split = PartsOn(need, device.speed);
    if (like != nullptr && std::pair(split, device.speed) >= std::pair(parts, like->speed))
      continue;
    if (!Fits(device, {}, need, split)) continue;
    like = &device;
    parts = split;
  }
  if (like != nullptr) {
    changes.push_back(
        "add " + (parts == 1 ? std::string("one device") : std::to_string(parts) + " devices") +
        " of speed \u2265 " + Number(like->speed) + " like " + like->name +
        (parts == 1 ? "" : ", to split it"));
  } else {
    double slow = 1e-3;
    double fast = 1e4;
    const auto serves = [&](double speed) {
      return PartsOn(need, speed) == 1 && PartOn(need, 1, speed).has_value();
    };
    if (serves(fast)) {
      while (fast / slow > 1.001) {
        const double middle = std::sqrt(slow * fast);
        (serves(middle) ? fast : slow) = middle;
      }
      changes.push_back(
          "add one device of speed \u2265 " + Up(fast) +
          (need.memory_gb > largest ? " with " + Number(need.memory_gb) + " GB of memory" : ""));
    } else {
      changes.push_back("its deadline is shorter than pre and post can ever be");
    }
  }
  std::string text = "does not fit anywhere: ";
  for (std::size_t i = 0; i < changes.size(); ++i) text += (i > 0 ? ", or " : "") + changes[i];
  return text;
}

std::string Explainer::Reason(std::uint32_t stream) const {
  return plan_.streams[stream].empty() ? Nowhere(stream) : Placed(stream);
}

}  // namespace stagger::placement
