#include "lab/sim/device_run.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <tuple>
#include <utility>

#include "base/slot_clock.h"
#include "base/try.h"
#include "core/engine.h"
#include "core/policies.h"
#include "lab/sim/executor_queue.h"
#include "lab/sim/gpu_model.h"
#include "lab/sim/random.h"

namespace stagger::sim {
namespace {

enum class What : std::uint8_t { kJoin, kFrame, kCall, kAsk, kBody, kReturn, kFree, kWarm };

// What happens at a time fixed beforehand, in order of time, then of being planned.
struct Planned {
  TimePoint at;
  std::uint64_t order;
  What what;
  std::uint32_t app;

  friend bool operator>(const Planned& a, const Planned& b) {
    return std::tie(a.at, a.order) > std::tie(b.at, b.order);
  }
};

struct App {
  const StreamModel* model;
  std::size_t group;
  Random random;
  double phase = 0;  // of its period, where the scenario leaves it open
  TimePoint next_frame{};
  TimePoint stop = kNever;
  bool busy = false;
  bool frame_waits = false;  // Queue::kLatest
  TimePoint frame_at{};      // of the frame that waits
  SlotClock slots{};         // of its calls, as its agent has it
  Duration told_period{};    // the rate in force as the engine told it
  // The inference under way.
  TimePoint arrival{};
  TimePoint call{};
  TimePoint asked{};
  TimePoint body_start{};
  Duration body{};      // as long as it took
  Duration paced{};     // in its agent, for the stream's slot
  Duration deferred{};  // before it competed for its turn, its rate being lowered
  bool holds = false;
  std::uint64_t seq = 0;
  std::optional<std::size_t> executor{};  // that serves it, or that it is
  bool is_executor = false;
};

// The engine knows an executor as one more app, the last ones of apps_.
struct Executor {
  StreamModel model;  // without frames of its own
  ExecutorQueue queue;
  std::uint32_t app = 0;
  std::vector<std::uint32_t> running;  // apps
};

// What it takes an app to be given outputs that are there already.
constexpr Duration kAnswer = std::chrono::microseconds{20};

class DeviceRun {
 public:
  DeviceRun(const Scenario& scenario, std::size_t device, std::uint64_t seed, int draw,
            core::Engine engine, Observer observer)
      : scenario_(scenario),
        policy_(*core::FindPolicy(scenario.policy.name)),
        engine_(std::move(engine)),
        observer_(std::move(observer)),
        gpu_(scenario.devices[device]),
        warm_{scenario.warmup},
        end_{scenario.warmup + scenario.length} {
    const std::vector<std::string> groups = GroupNames(scenario);
    result_.groups.resize(groups.size());
    const Phases phases(scenario.streams.size(), seed);
    for (std::size_t i = 0; i < scenario.streams.size(); ++i) {
      const StreamModel& model = scenario.streams[i];
      if (model.device != device) continue;
      // Each app its own numbers: another policy or another app must not change them.
      Random mix(seed);
      mix = Random(mix.Next() ^ static_cast<std::uint64_t>(draw));
      mix = Random(mix.Next() ^ i);
      const auto group = std::ranges::find(groups, model.group) - groups.begin();
      apps_.push_back({&model, static_cast<std::size_t>(group), Random(mix.Next())});
      if (!model.phase) apps_.back().phase = phases.Of(i, draw);
      apps_.back().executor = model.executor;
    }
    executors_.reserve(scenario.executors.size());
    for (std::size_t e = 0; e < scenario.executors.size(); ++e) {
      StreamModel model;
      model.name = "executor-" + scenario.executors[e].name;
      model.demand = 1;
      executors_.push_back({std::move(model), ExecutorQueue(scenario, e), Count(), {}});
      if (scenario.executors[e].device != device) continue;
      Random mix(seed);
      mix = Random(mix.Next() ^ static_cast<std::uint64_t>(draw));
      mix = Random(mix.Next() ^ (scenario.streams.size() + e));
      apps_.push_back({&executors_.back().model, 0, Random(mix.Next())});
      apps_.back().executor = e;
      apps_.back().is_executor = true;
    }
  }

  DeviceResult Run() {
    for (std::uint32_t i = 0; i < apps_.size(); ++i) {
      App& app = apps_[i];
      if (app.is_executor) {
        Step(core::ClientJoined{Id(i), Spec(*app.model)});
        continue;
      }
      if (app.model->stop) app.stop = TimePoint{*app.model->stop};
      Plan(TimePoint{app.model->start}, What::kJoin, i);
    }
    Plan(warm_, What::kWarm, 0);
    while (NextEvent()) {
    }
    const core::DeviceState& device = engine_.devices().front();
    result_.body_time = device.body_time - body_time_before_;
    result_.over_time = device.over_time - over_time_before_;
    for (const auto& [client, stream] : engine_.streams()) {
      const App& app = apps_[client.value - 1];
      if (app.is_executor) continue;
      const double fps = stream.assigned_fps > 0 ? stream.assigned_fps : stream.spec.required_fps;
      result_.groups[app.group].assigned_mfps += std::llround(fps * 1000);
    }
    for (const App& app : apps_) {
      if (!app.executor || app.is_executor) continue;
      result_.groups[app.group].assigned_mfps += std::llround(Spec(*app.model).required_fps * 1000);
    }
    return std::move(result_);
  }

 private:
  // False when time is up.
  bool NextEvent() {
    const auto ends = gpu_.NextCompletion();
    const TimePoint engine = engine_.NextDeadline();
    const TimePoint planned = planned_.empty() ? kNever : planned_.top().at;
    const TimePoint at = std::min({ends ? ends->first : kNever, engine, planned});
    if (at >= end_) return false;
    now_ = at;
    if (ends && ends->first == at) {
      gpu_.Advance(now_);
      gpu_.Finish(ends->second);
      Ended(static_cast<std::uint32_t>(ends->second));
    } else if (planned == at) {
      const Planned next = planned_.top();
      planned_.pop();
      Happen(next);
    } else {
      Step(core::Tick{});
    }
    return true;
  }

  void Happen(const Planned& next) {
    App& app = apps_[next.app];
    switch (next.what) {
      case What::kJoin:
        Join(next.app);
        break;
      case What::kFrame:
        Frame(next.app);
        break;
      case What::kCall:
        Call(next.app);
        break;
      case What::kAsk:
        Ask(next.app);
        break;
      case What::kBody:
        StartBody(app, next.app);
        break;
      case What::kReturn:
        Returned(next.app);
        break;
      case What::kFree:
        Free(next.app);
        break;
      case What::kWarm:
        Step(core::Tick{});
        body_time_before_ = engine_.devices().front().body_time;
        over_time_before_ = engine_.devices().front().over_time;
        break;
    }
  }

  void Join(std::uint32_t i) {
    App& app = apps_[i];
    const StreamModel& model = *app.model;
    // Apps that forward ask for no turns.
    if (app.executor) {
      app.told_period = model.period;
    } else {
      Step(core::ClientJoined{Id(i), Spec(model)});
    }
    const Duration phase =
        model.phase ? *model.phase
                    : Duration{static_cast<Duration::rep>(
                          app.phase * static_cast<double>(model.frame_period().count()))};
    app.next_frame = now_ + phase;
    Plan(app.next_frame, What::kFrame, i);
  }

  // A frame arrives. Where a frame is always ready this is only the first one.
  void Frame(std::uint32_t i) {
    App& app = apps_[i];
    if (now_ >= app.stop) return StopWhenIdle(i);
    const Duration period = app.model->frame_period();
    if (period > Duration{}) {
      app.next_frame = now_ + period;
      Plan(app.next_frame, What::kFrame, i);
    }
    Arrived(app);
    if (!app.busy) return Begin(i, now_);
    if (scenario_.queue == Queue::kDrop) return NotTaken(i, now_);
    if (app.frame_waits) NotTaken(i, app.frame_at);
    app.frame_waits = true;
    app.frame_at = now_;
  }

  void Begin(std::uint32_t i, TimePoint arrival) {
    App& app = apps_[i];
    app.busy = true;
    app.arrival = arrival;
    app.call = now_;
    app.paced = {};
    if (Exceeds(app)) return;
    Call(i);
  }

  // Whether the agent does not let the call go on as it comes: it waits, or is answered.
  bool Exceeds(App& app) {
    const auto i = static_cast<std::uint32_t>(&app - apps_.data());
    const Duration period = app.model->period;
    if (!policy_.gates || period == Duration{}) return false;
    switch (app.model->excess) {
      case Excess::kPace: {
        const TimePoint opens = app.slots.Reserve(now_, period);
        if (opens <= now_) return false;
        app.paced = opens - now_;
        Plan(opens, What::kCall, i);
        return true;
      }
      case Excess::kReuse:
        if (app.told_period == Duration{} || app.slots.Take(now_, app.told_period)) return false;
        if (app.arrival >= warm_) ++result_.groups[app.group].skipped;
        Plan(now_ + kAnswer + app.model->app, What::kFree, i);
        return true;
      case Excess::kPass:
        return false;
    }
    return false;
  }

  void Call(std::uint32_t i) {
    App& app = apps_[i];
    const bool now = policy_.whole && !app.executor;
    if (now || app.model->pre == Duration{}) return Ask(i);
    Plan(now_ + app.model->pre, What::kAsk, i);
  }

  void Ask(std::uint32_t i) {
    App& app = apps_[i];
    app.asked = now_;
    const TimePoint since =
        scenario_.deadline_from == DeadlineFrom::kArrival ? app.arrival : app.call;
    if (app.executor && !app.is_executor) return Send(i, since);
    ++app.seq;
    app.holds = true;
    Step(core::TurnRequested{Id(i), TurnSeq{app.seq}, DeviceId{0}, now_ - since - app.paced,
                             policy_.gates});
    if (!policy_.gates) Granted(i, Duration{});
  }

  // To the executor, which takes it up at once if it is idle.
  void Send(std::uint32_t i, TimePoint since) {
    const StreamModel& model = *apps_[i].model;
    Executor& executor = executors_[*apps_[i].executor];
    executor.queue.Add(i,
                       model.deadline > Duration{} ? since + model.deadline - model.post : kNever);
    if (executor.running.empty()) RunBatch(executor);
  }

  void RunBatch(Executor& executor) {
    ExecutorQueue::Batch batch = executor.queue.Take(now_);
    executor.running = std::move(batch.apps);
    executor.model.body = batch.took;
    result_.batches += executor.running.size() > 1 ? 1 : 0;
    App& app = apps_[executor.app];
    app.arrival = app.call = now_;
    Ask(executor.app);
  }

  void BatchEnded(Executor& executor, Duration body) {
    for (const std::uint32_t i : std::exchange(executor.running, {})) {
      App& app = apps_[i];
      app.body = body;
      Plan(now_ + app.model->post, What::kReturn, i);
    }
    if (!executor.queue.empty()) RunBatch(executor);
  }

  // The turn is there; the device needs `dead` before it can start.
  void Granted(std::uint32_t i, Duration dead) {
    App& app = apps_[i];
    const Duration pre = policy_.whole ? app.model->pre : Duration{};
    if (dead + pre == Duration{}) return StartBody(app, i);
    Plan(now_ + dead + pre, What::kBody, i);
  }

  void StartBody(App& app, std::uint32_t i) {
    app.body_start = now_;
    gpu_.Advance(now_);
    gpu_.Start(i, Phase::kBody, Vary(app, app.model->body), app.model->demand);
    running_.resize(std::max(running_.size(), std::size_t{i} + 1));
    running_[i] = Phase::kBody;
  }

  void Ended(std::uint32_t i) {
    App& app = apps_[i];
    if (running_[i] == Phase::kBody) {
      app.body = now_ - app.body_start;
      const bool follows = app.model->post > Duration{};
      if (follows) {
        gpu_.Start(i, Phase::kPost, Vary(app, app.model->post), 0);
        running_[i] = Phase::kPost;
      }
      if (!policy_.whole) Release(i, follows ? Duration{} : now_ - app.call - app.paced);
      if (follows) return;
    } else if (!policy_.whole) {
      Step(core::InferenceEnded{Id(i), DeviceId{0}, now_ - app.body_start - app.body,
                                now_ - app.call - app.paced});
    }
    if (policy_.whole) Release(i, now_ - app.call - app.paced);
    if (app.is_executor) return BatchEnded(executors_[*app.executor], app.body);
    Returned(i);
  }

  void Release(std::uint32_t i, Duration call) {
    App& app = apps_[i];
    app.holds = false;
    Step(core::TurnReleased{Id(i), TurnSeq{app.seq}, now_ - app.body_start,
                            app.body_start - app.asked, call},
         scenario_.handoff);
  }

  void Returned(std::uint32_t i) {
    App& app = apps_[i];
    if (now_ >= warm_) {
      const auto second = static_cast<std::size_t>((now_ - warm_) / std::chrono::seconds{1});
      result_.done_by_second.resize(std::max(result_.done_by_second.size(), second + 1));
      ++result_.done_by_second[second];
    }
    if (app.arrival >= warm_) {
      Tally& tally = result_.groups[app.group];
      ++tally.done;
      tally.inference.Add(now_ - app.call);
      tally.latency.Add(now_ - app.arrival);
      tally.body.Add(app.body);
      const TimePoint from =
          scenario_.deadline_from == DeadlineFrom::kArrival ? app.arrival : app.call;
      // What was held back for its slot is due that much later.
      const Duration deferred = app.paced + app.deferred;
      if (app.model->deadline > Duration{} && now_ - from - deferred > app.model->deadline) {
        ++tally.late;
      }
    }
    if (app.model->app == Duration{}) return Free(i);
    Plan(now_ + app.model->app, What::kFree, i);
  }

  void Free(std::uint32_t i) {
    App& app = apps_[i];
    app.busy = false;
    if (now_ >= app.stop) return StopWhenIdle(i);
    if (app.model->frame_period() == Duration{}) {
      Arrived(app);
      return Begin(i, now_);
    }
    if (!app.frame_waits) return;
    app.frame_waits = false;
    Begin(i, app.frame_at);
  }

  void StopWhenIdle(std::uint32_t i) {
    App& app = apps_[i];
    if (app.busy || app.stop == kNever) return;
    app.stop = kNever;
    if (!app.executor) Step(core::ClientLeft{Id(i)});
  }

  void Arrived(const App& app) {
    if (now_ >= warm_) ++result_.groups[app.group].frames;
  }
  // A frame that its app had no time for. That is on purpose where the stream's rate is lowered,
  // and where it needs no more in this period than it has had.
  void NotTaken(std::uint32_t i, TimePoint arrival) {
    if (arrival < warm_) return;
    const auto stream = engine_.streams().find(Id(i));
    const bool lowered = stream != engine_.streams().end() && stream->second.assigned_fps > 0;
    const App& app = apps_[i];
    const bool had = app.model->camera_period && app.slots.Ahead(now_, app.model->period);
    Tally& tally = result_.groups[app.group];
    ++(lowered || had ? tally.skipped : tally.drops);
  }

  // Tells the engine, and does what it says. Turns granted here start `dead` later.
  void Step(const core::Event& event, Duration dead = {}) {
    std::vector<core::Action> actions = std::move(spare_);
    actions.clear();
    engine_.Step(event, now_, &actions);
    if (observer_) observer_(event, now_, actions);
    ++result_.steps;
    for (const core::Action& action : actions) {
      if (const auto* grant = std::get_if<core::Grant>(&action)) {
        const auto i = static_cast<std::uint32_t>(grant->client.value - 1);
        // A body that outlived its lease runs on; the daemon's word reaches an agent's next call.
        if (policy_.gates && apps_[i].holds && apps_[i].seq == grant->seq.value) {
          apps_[i].deferred = grant->deferred;
          Granted(i, dead);
        }
      } else if (const auto* told = std::get_if<core::Configure>(&action)) {
        apps_[told->client.value - 1].told_period = told->period;
      }
    }
    spare_ = std::move(actions);
  }

  Duration Vary(App& app, Duration work) const {
    const double j = scenario_.jitter;
    if (j == 0) return work;
    const double factor = std::exp(j * app.random.Normal() - j * j / 2);
    return Duration{std::llround(static_cast<double>(work.count()) * factor)};
  }

  void Plan(TimePoint at, What what, std::uint32_t app) {
    planned_.push({at, planned_count_++, what, app});
  }

  static StreamSpec Spec(const StreamModel& model) {
    StreamSpec spec;
    spec.name = model.name;
    if (model.period > Duration{})
      spec.required_fps = 1e9 / static_cast<double>(model.period.count());
    spec.deadline = model.deadline;
    spec.weight = model.weight;
    spec.min_fps = model.min_fps;
    spec.excess = model.excess;
    return spec;
  }

  std::uint32_t Count() const { return static_cast<std::uint32_t>(apps_.size()); }
  static ClientId Id(std::uint32_t app) { return ClientId{std::uint64_t{app} + 1}; }

  const Scenario& scenario_;
  const core::Policy& policy_;
  core::Engine engine_;
  const Observer observer_;
  GpuModel gpu_;
  const TimePoint warm_;
  const TimePoint end_;
  std::vector<App> apps_;
  std::vector<Executor> executors_;  // of the scenario; those of other devices have no app here
  std::vector<Phase> running_;       // by app: what it has on the GPU
  std::priority_queue<Planned, std::vector<Planned>, std::greater<>> planned_;
  std::uint64_t planned_count_ = 0;
  std::vector<core::Action> spare_;  // kept for its memory only
  TimePoint now_{};
  Duration body_time_before_{};
  Duration over_time_before_{};
  DeviceResult result_;
};

}  // namespace

std::vector<std::string> GroupNames(const Scenario& scenario) {
  std::vector<std::string> names;
  for (const StreamModel& stream : scenario.streams) {
    // Streams of a group stand together.
    if (names.empty() || names.back() != stream.group) names.push_back(stream.group);
  }
  return names;
}

core::EngineConfig ConfigOf(const Scenario& scenario, std::size_t device) {
  core::EngineConfig config;
  config.devices.push_back({scenario.devices[device].name, {}});
  config.policy = scenario.policy;
  return config;
}

Result<DeviceResult> RunDevice(const Scenario& scenario, std::size_t device, std::uint64_t seed,
                               int draw, Observer observer) {
  return DeviceRun(scenario, device, seed, draw,
                   STAGGER_TRY(core::Engine::Create(ConfigOf(scenario, device))),
                   std::move(observer))
      .Run();
}

}  // namespace stagger::sim
