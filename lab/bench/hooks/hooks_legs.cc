#include "lab/bench/hooks/hooks_legs.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>

#include "base/clock.h"
#include "lab/bench/gate/gate_clients.h"
#include "lab/bench/hooks/device_log.h"
#include "lab/bench/hooks/hooks_site.h"
#include "lab/bench/hooks/turn_relay.h"

namespace stagger::cli {
namespace {

constexpr int kLearning = 40;  // inferences after which the agent knows an app
constexpr int kCompeting = 2;
constexpr Duration kFirstLook = std::chrono::milliseconds{500};
// Seldom, where what is looked for are a few parts in a thousand of an app's time.
constexpr Duration kBetweenLooks = std::chrono::milliseconds{250};
constexpr Duration kBetweenPingPongs = std::chrono::milliseconds{5};

Result<std::vector<Sample>> SamplesOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<Sample> samples;
  for (std::string line; std::getline(file, line);) {
    if (const std::optional<Sample> sample = ParseSample(line)) samples.push_back(*sample);
  }
  if (samples.size() <= static_cast<std::size_t>(kLearning) + 1) {
    return Error{fmt::format("an app did {} inferences only; the agent learns {}: more --seconds",
                             samples.size(), kLearning)};
  }
  samples.erase(samples.begin(), samples.begin() + kLearning);
  return samples;
}

struct AppPlan {
  double body_ms = 0;
  int kernels = 0;
  double measured_ms = 0;
  double period_ms = 0;  // from one inference's start to the next, about
};

ChildSpec AppSpec(const AppPlan& plan, const std::string& path, const HooksSite& site,
                  const std::string& name) {
  ChildSpec spec;
  spec.path = path;
  // The agent has to know it first. Counted, not timed: a busy machine only makes it longer.
  const int frames = kLearning + static_cast<int>(std::ceil(plan.measured_ms / plan.period_ms)) + 1;
  // The wait between two bodies is short, so that of two apps one always waits for the other.
  spec.argv = {"cuda-camera",
               fmt::format("--frames={}", frames),
               "--pre=0",
               "--post=1",
               "--post-cpu=0.1",
               "--post-steps=1",
               fmt::format("--body={}", plan.body_ms),
               fmt::format("--kernels={}", plan.kernels),
               "--samples=" + site.dir.File(name + ".csv")};
  spec.environment = site.gpu.environment();
  spec.out_file = site.dir.File(name + ".out");
  spec.err_file = site.dir.File(name + ".err");
  return spec;
}

// Looks at the CPU time that we take beside apps, now and then.
class AgentWatch {
 public:
  AgentWatch(const std::vector<ChildProcess>& apps, HooksSite& site) : apps_(apps), site_(site) {}

  void Look() {
    if (Now() < next_) return;
    next_ = Now() + kBetweenLooks;
    Duration used{};
    for (const ChildProcess& app : apps_) {
      const std::optional<Duration> time = AgentThreadsTime(app.pid());
      if (!time) return;  // bare, and just as much looked at
      used += *time;
    }
    if (!site_.daemon) return;
    threads_.Add(used);
    all_.Add(used + ProcessCpuTime(site_.daemon->process().pid()).value_or(Duration{}));
  }
  std::optional<double> threads_share() const { return threads_.OfACore(); }
  std::optional<double> agent_share() const { return all_.OfACore(); }

 private:
  const std::vector<ChildProcess>& apps_;
  HooksSite& site_;
  TimePoint next_ = Now() + kFirstLook;
  CpuShare threads_;
  CpuShare all_;
};

struct Programs {
  std::string app;
  std::string agents;
};
Result<Programs> FindPrograms(const Workplace& place) {
  const Result<std::string> app = place.installation.CudaCamera();
  if (!app) return app.error();
  const Result<std::string> agents = place.installation.CudaAgents();
  if (!agents) return agents.error();
  return Programs{*app, *agents};
}

Leg MakeLeg(const std::string& name, bool controlled, int apps,
            const std::vector<double>& inference_ms, double seconds) {
  Leg leg;
  leg.name = name;
  leg.apps = apps;
  if (controlled) {
    leg.policy = "fifo";
    leg.concurrency = 1;
  }
  leg.done = static_cast<double>(inference_ms.size());
  leg.fps = *leg.done / seconds;
  leg.inference_ms = Describe(inference_ms);
  return leg;
}

double Us(Duration d) { return ToMs(d) * 1000; }

// What the spells of one way come to.
struct Spells {
  std::vector<double> inference_ms;
  double seconds = 0;
  std::vector<double> threads_shares;
  std::vector<double> agent_shares;

  GpuLegRun ToRun(const std::string& name, bool controlled, const Disturbance& disturbance) const {
    GpuLegRun run;
    run.leg = MakeLeg(name, controlled, 1, inference_ms, seconds);
    run.disturbance = disturbance;
    run.threads_share = Median(threads_shares);
    run.agent_share = Median(agent_shares);
    return run;
  }
};

Result<void> RunSpell(const AlonePlan& plan, const Programs& programs, bool controlled,
                      HooksSite& site, Workplace& place, Spells& found) {
  const std::string name = "app-1";  // in every spell: its files are read before the next one
  if (controlled) {
    if (const auto started = site.StartDaemon(place); !started) return started.error();
  }
  ChildSpec spec = AppSpec({plan.body_ms, plan.kernels, plan.seconds * 1000 / 2, plan.body_ms + 2},
                           programs.app, site, name);
  if (controlled) {
    spec.environment.merge(AppEnvironment(programs.agents, site.daemon->socket(), {name}));
  }
  std::vector<ChildProcess> apps;
  Result<ChildProcess> app = ChildProcess::Start(spec, place.keeper);
  if (!app) return app.error();
  apps.push_back(std::move(app).value());
  AgentWatch watch(apps, site);
  const auto ended = AwaitApps(apps, place.stop, site.dir, kBetweenLooks, [&] { watch.Look(); });
  site.daemon.reset();
  if (!ended) return Error{fmt::format("{}: {}", plan.app, ended.error().message)};
  if (const auto share = watch.threads_share()) found.threads_shares.push_back(*share);
  if (const auto share = watch.agent_share()) found.agent_shares.push_back(*share);
  const auto samples = SamplesOf(site.dir.File(name + ".csv"));
  if (!samples) return samples.error();
  for (const Sample& sample : *samples) {
    found.inference_ms.push_back(ToMs(sample.end - sample.start));
  }
  found.seconds += ToMs(samples->back().result - samples->front().start) / 1000;
  return {};
}

Result<std::vector<DeviceBody>> BodiesOf(const HooksSite& site) {
  std::ifstream log(site.DeviceLog());
  return ReadBodies(log);
}

// The bodies of each process, without its first ones; processes in the order in which they came.
std::vector<std::vector<DeviceBody>> ByProcess(const std::vector<DeviceBody>& bodies) {
  std::map<std::uint64_t, std::size_t> place;
  std::vector<std::vector<DeviceBody>> all;
  for (const DeviceBody& body : bodies) {
    const auto [found, is_new] = place.emplace(body.process, all.size());
    if (is_new) all.emplace_back();
    all[found->second].push_back(body);
  }
  for (std::vector<DeviceBody>& of : all) {
    of.erase(of.begin(), of.begin() + std::min<std::ptrdiff_t>(kLearning, std::ssize(of)));
  }
  return all;
}

}  // namespace

Result<AloneRun> RunAlone(const AlonePlan& plan, Workplace& place) {
  const Result<Programs> programs = FindPrograms(place);
  if (!programs) return programs.error();
  const DisturbanceWatch watched;
  Result<HooksSite> site = HooksSite::Open(place, plan.with_log);
  if (!site) return site.error();
  Spells bare;
  Spells ours;
  const std::vector<bool> order{false, true, true, false};
  for (const bool controlled : order) {
    const auto done = RunSpell(plan, *programs, controlled, *site, place, controlled ? ours : bare);
    if (!done) return done.error();
  }
  if (const auto closed = site->Close(); !closed) return closed.error();
  const Disturbance disturbance = watched.SoFar();
  AloneRun run{bare.ToRun(plan.Bare(), false, disturbance),
               ours.ToRun(plan.Controlled(), true, disturbance)};
  if (!plan.with_log) return run;
  const Result<std::vector<DeviceBody>> bodies = BodiesOf(*site);
  if (!bodies) return bodies.error();
  const auto of_spells = ByProcess(*bodies);
  for (std::size_t spell = 0; spell < std::min(order.size(), of_spells.size()); ++spell) {
    GpuLegRun& leg = order[spell] ? run.controlled : run.bare;
    for (const DeviceBody& body : of_spells[spell]) {
      if (body.next == kNever) continue;
      leg.own_gaps_us.push_back(Us(body.next - body.end));
      leg.bodies_us.push_back(Us(body.end - body.begin));
    }
  }
  return run;
}

Result<GpuLegRun> RunCompeting(const CompetingPlan& plan, Workplace& place) {
  const Result<Programs> programs = FindPrograms(place);
  if (!programs) return programs.error();
  const DisturbanceWatch watched;
  Result<HooksSite> site = HooksSite::Open(place, /*with_log=*/true);
  if (!site) return site.error();
  std::optional<TurnRelay> relay;
  if (plan.by_hand) {
    Result<TurnRelay> started = TurnRelay::Start(site->dir.File("relay.sock"));
    if (!started) return started.error();
    relay.emplace(std::move(started).value());
  } else if (const auto started = site->StartDaemon(place); !started) {
    return started.error();
  }
  Result<Partner> partner = Partner::Start(Role::kEcho, "");
  if (!partner) return partner.error();
  std::optional<Partner> echo(std::move(partner).value());
  std::vector<ChildProcess> apps;
  for (int i = 1; i <= kCompeting; ++i) {
    const std::string name = fmt::format("app-{}", i);
    ChildSpec spec =
        AppSpec({plan.body_ms, plan.kernels, plan.seconds * 1000, kCompeting * (plan.body_ms + 2)},
                programs->app, *site, name);
    if (plan.by_hand) {
      spec.argv.push_back("--pass-by=" + site->dir.File("relay.sock"));
      spec.argv.push_back("--truth=" + site->dir.File(name + ".truth"));
    } else {
      spec.environment.merge(AppEnvironment(programs->agents, site->daemon->socket(), {name}));
      spec.environment["STAGGER_TURNS"] = site->dir.File("turns.jsonl");
    }
    Result<ChildProcess> app = ChildProcess::Start(spec, place.keeper);
    if (!app) return app.error();
    apps.push_back(std::move(app).value());
  }

  GpuLegRun run;
  AgentWatch watch(apps, *site);
  const auto meanwhile = [&] {
    const TimePoint start = Now();
    if (echo->PingPong()) run.ping_pong_us.push_back(Us(Now() - start));
    watch.Look();
  };
  if (const auto ended = AwaitApps(apps, place.stop, site->dir, kBetweenPingPongs, meanwhile);
      !ended) {
    return Error{fmt::format("{}: {}", plan.name, ended.error().message)};
  }
  echo.reset();
  if (const auto closed = site->Close(); !closed) return closed.error();
  run.disturbance = watched.SoFar();
  run.threads_share = watch.threads_share();
  run.agent_share = watch.agent_share();

  std::vector<double> inference_ms;
  double seconds = 0;
  std::vector<TurnTimes> turns;
  for (int i = 1; i <= kCompeting; ++i) {
    const auto samples = SamplesOf(site->dir.File(fmt::format("app-{}.csv", i)));
    if (!samples) return samples.error();
    for (const Sample& sample : *samples) inference_ms.push_back(ToMs(sample.end - sample.start));
    seconds = std::max(seconds, ToMs(samples->back().result - samples->front().start) / 1000);
    if (!plan.by_hand) continue;
    std::ifstream truth(site->dir.File(fmt::format("app-{}.truth", i)));
    std::ranges::copy(ReadTruth(truth, i), std::back_inserter(turns));
  }
  run.leg = MakeLeg(plan.name, !plan.by_hand, kCompeting, inference_ms, seconds);
  if (!plan.by_hand) {
    std::ifstream file(site->dir.File("turns.jsonl"));
    turns = ReadTurns(file);
  }
  for (const Duration release : Releases(std::move(turns), kLearning)) {
    run.releases_us.push_back(Us(release));
  }
  const Result<std::vector<DeviceBody>> bodies = BodiesOf(*site);
  if (!bodies) return bodies.error();
  for (const HandOver& hand_over : HandOvers(*bodies, kLearning)) {
    run.gaps_us.push_back(Us(hand_over.gap));
    run.bodies_us.push_back(Us(hand_over.body));
  }
  return run;
}

}  // namespace stagger::cli
