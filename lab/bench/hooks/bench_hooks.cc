// stagger bench hooks: what the hooks cost a CUDA app, and how long the device is idle from one
// app's body to the next one's. On a driver that does nothing, and on the virtual GPU.
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "console/arguments.h"
#include "console/progress_line.h"
#include "console/table.h"
#include "lab/bench/bench.h"
#include "lab/bench/bench_run.h"
#include "lab/bench/hooks/hooks_claims.h"

namespace stagger::cli {
namespace {

struct Settings {
  int repeats = 10;
  double seconds = 2;
  int blocks = 100;
  bool as_json = false;
};

struct Plans {
  std::vector<AlonePlan> alone;
  std::vector<CompetingPlan> competing;
};

Plans MakePlans(const Settings& settings) {
  // The paper's body, and one of many tiny kernels.
  return {
      {{"alone-60", 38.31, 60, settings.seconds, /*with_log=*/true},
       {"alone-2000", 20, 2000, settings.seconds, /*with_log=*/false}},
      {{kHandOver, 20, 60, settings.seconds, false}, {kByHand, 20, 60, settings.seconds, true}}};
}

Result<std::vector<HooksRepeat>> Measure(const Settings& settings, Workplace& place) {
  const Plans plans = MakePlans(settings);
  ProgressLine line;
  std::vector<HooksRepeat> repeats;
  for (int repeat = 0; repeat < settings.repeats; ++repeat) {
    const std::string where = fmt::format("[{}/{}] ", repeat + 1, settings.repeats);
    line.Update(where + "calls");
    Result<CallRun> calls = RunCalls(place, settings.blocks);
    if (!calls) return calls.error();
    HooksRepeat found{std::move(calls).value(), {}};
    const std::size_t legs = plans.alone.size() + plans.competing.size();
    for (std::size_t i = 0; i < legs; ++i) {
      const std::size_t at = (i + static_cast<std::size_t>(repeat)) % legs;
      if (at < plans.alone.size()) {
        const AlonePlan& plan = plans.alone[at];
        line.Update(where + plan.app);
        Result<AloneRun> run = RunAlone(plan, place);
        if (!run) return run.error();
        found.legs.emplace(plan.Bare(), std::move(run->bare));
        found.legs.emplace(plan.Controlled(), std::move(run->controlled));
      } else {
        const CompetingPlan& plan = plans.competing[at - plans.alone.size()];
        line.Update(where + plan.name);
        Result<GpuLegRun> run = RunCompeting(plan, place);
        if (!run) return run.error();
        found.legs.emplace(plan.name, std::move(run).value());
      }
    }
    repeats.push_back(std::move(found));
    line.Finish(where + "done");
  }
  return repeats;
}

template <typename Of>
std::optional<double> MedianBy(const std::vector<HooksRepeat>& repeats, Of of) {
  std::vector<double> values;
  for (const HooksRepeat& repeat : repeats) {
    if (const std::optional<double> value = of(repeat)) values.push_back(*value);
  }
  return Median(values);
}

std::optional<double> FigureOf(const std::vector<HooksRepeat>& repeats, const std::string& leg,
                               double HandOverFigures::*part) {
  return MedianBy(repeats, [&](const HooksRepeat& repeat) -> std::optional<double> {
    const auto figures = FiguresOf(repeat.legs.at(leg), repeat.legs.at(kAloneBare));
    if (!figures) return std::nullopt;
    return (*figures).*part;
  });
}

std::optional<double> ThreadsShare(const std::vector<HooksRepeat>& repeats,
                                   const std::string& leg) {
  return MedianBy(repeats, [&](const HooksRepeat& r) { return r.legs.at(leg).threads_share; });
}

std::string Number(const std::optional<double>& value, int digits, double factor = 1) {
  return value ? fmt::format("{:.{}f}", *value * factor, digits) : "-";
}

Leg MedianOf(const std::vector<HooksRepeat>& repeats, const std::string& name) {
  std::vector<Leg> legs;
  int disturbed = 0;
  for (const HooksRepeat& repeat : repeats) {
    const GpuLegRun& run = repeat.legs.at(name);
    legs.push_back(run.leg);
    disturbed += run.disturbance.disturbed() ? 1 : 0;
  }
  Leg leg = MedianLeg(legs);
  leg.disturbed_repeats = disturbed;
  return leg;
}

std::string CallsTable(const std::vector<HooksRepeat>& repeats) {
  Table table({"call", "bare ns", "added ns"});
  for (std::size_t i = 0; i < repeats.front().calls.calls.size(); ++i) {
    const auto part = [&](double CallCost::*member) {
      return Number(MedianBy(repeats,
                             [&](const HooksRepeat& repeat) {
                               return std::optional(repeat.calls.calls[i].*member);
                             }),
                    1);
    };
    table.AddRow(
        {repeats.front().calls.calls[i].call, part(&CallCost::bare_ns), part(&CallCost::added_ns)});
  }
  return table.ToString();
}

void PrintText(const Settings& settings, const std::vector<HooksRepeat>& repeats,
               const std::vector<Claim>& claims) {
  fmt::print("{} repeats, apps for {:g} s; medians\n\n", settings.repeats, settings.seconds);
  fmt::print(
      "Calls on a driver that does nothing, through the hooks and past them, block by block in one "
      "process.\nA reading of this machine's clock takes {} ns.\n\n{}\n",
      Number(
          MedianBy(repeats, [](const HooksRepeat& r) { return std::optional(r.calls.clock_ns); }),
          1),
      CallsTable(repeats));
  Table apps({"one app alone, on the virtual T4", "fps", "mean ms", "p99 ms", "agent's threads %"});
  for (const AlonePlan& plan : MakePlans(settings).alone) {
    for (const std::string& name : {plan.Bare(), plan.Controlled()}) {
      const Leg leg = MedianOf(repeats, name);
      apps.AddRow({name, Number(leg.fps, 1), fmt::format("{:.3f}", leg.inference_ms->mean),
                   fmt::format("{:.3f}", leg.inference_ms->p99),
                   Number(ThreadsShare(repeats, name), 2, 100)});
    }
  }
  fmt::print("{}\n", apps.ToString());
  Table hand_overs({"two apps", "release us", "ping-pong", "gap us", "p99", "virtual GPU's", "rest",
                    "idle %", "agent's threads %", "fps"});
  for (const char* leg : {kHandOver, kByHand}) {
    const auto figure = [&](double HandOverFigures::*part, int digits, double factor = 1) {
      return Number(FigureOf(repeats, leg, part), digits, factor);
    };
    using H = HandOverFigures;
    hand_overs.AddRow({leg, figure(&H::release, 0), figure(&H::ping_pong, 0), figure(&H::gap, 0),
                       figure(&H::gap_p99, 0), figure(&H::own, 0), figure(&H::rest, 0),
                       figure(&H::idle, 2, 100), Number(ThreadsShare(repeats, leg), 2, 100),
                       Number(MedianOf(repeats, leg).fps, 2)});
  }
  fmt::print(
      "Two apps that are always busy. Release: from one's giving back its turn to the first launch "
      "of the other, which waited.\nBy hand: the apps ask a process for the turn that does "
      "nothing else. Ping-pong: a packet there and back while all else sleeps.\nGap: from the end "
      "of one's body to the begin of the other's, "
      "by the device's log. The virtual GPU's part of it is\nwhat an app alone needs from its "
      "body's end to its next operation.\n\n{}\n{}",
      hand_overs.ToString(), ToText(claims));
}

void PrintJson(const Settings& settings, const std::vector<HooksRepeat>& repeats,
               const std::vector<Claim>& claims) {
  const auto number = [](const std::optional<double>& value, double factor = 1) {
    return value ? nlohmann::ordered_json(*value * factor) : nlohmann::ordered_json(nullptr);
  };
  nlohmann::ordered_json json;
  json["bench"] = "hooks";
  json["legs"] = nlohmann::ordered_json::array();
  const auto leg_json = [&](const std::string& name) {
    nlohmann::ordered_json leg = ToJson(MedianOf(repeats, name));
    if (leg["policy"].is_string()) leg["agent_threads_ratio"] = number(ThreadsShare(repeats, name));
    return leg;
  };
  const Plans plans = MakePlans(settings);
  for (const AlonePlan& plan : plans.alone) {
    json["legs"].push_back(leg_json(plan.Bare()));
    json["legs"].push_back(leg_json(plan.Controlled()));
  }
  for (const CompetingPlan& plan : plans.competing) {
    nlohmann::ordered_json leg = leg_json(plan.name);
    using H = HandOverFigures;
    const auto ms = [&](double H::*part) {
      return number(FigureOf(repeats, plan.name, part), 1e-3);
    };
    leg["release_ms"] = ms(&H::release);
    leg["gap_ms"] = {{"p50", ms(&H::gap)}, {"p99", ms(&H::gap_p99)}};
    leg["gap_of_virtual_gpu_ms"] = ms(&H::own);
    leg["gap_rest_ms"] = ms(&H::rest);
    leg["ping_pong_ms"] = ms(&H::ping_pong);
    leg["idle_ratio"] = number(FigureOf(repeats, plan.name, &H::idle));
    json["legs"].push_back(std::move(leg));
  }
  json["calls"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < repeats.front().calls.calls.size(); ++i) {
    std::vector<double> bare;
    std::vector<double> added;
    for (const HooksRepeat& repeat : repeats) {
      bare.push_back(repeat.calls.calls[i].bare_ns);
      added.push_back(repeat.calls.calls[i].added_ns);
    }
    json["calls"].push_back({{"call", repeats.front().calls.calls[i].call},
                             {"bare_ns", *Median(bare)},
                             {"added_ns", *Median(added)}});
  }
  json["clock_ns"] = number(
      MedianBy(repeats, [](const HooksRepeat& r) { return std::optional(r.calls.clock_ns); }));
  json["device"] = DescribeCpu();
  json["repeats"] = settings.repeats;
  json["seconds"] = settings.seconds;
  json["claims"] = nlohmann::ordered_json::array();
  for (const Claim& claim : claims) json["claims"].push_back(ToJson(claim));
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

int BenchHooks(const Arguments& arguments) {
  Settings settings;
  CLI::App app{
      "What the hooks cost a CUDA app: each kind of call on a driver that does nothing, through "
      "the "
      "hooks and past them; a whole app alone on the virtual T4, bare and controlled; and of two "
      "apps that compete the time from one's body to the other's, beside a bare ping-pong.",
      "stagger bench hooks"};
  app.add_option("--repeats", settings.repeats, "how often all is measured")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", settings.seconds, "how long an app runs once the agent knows it")
      ->check(CLI::Range(0.2, 3600.0))
      ->capture_default_str();
  app.add_option("--blocks", settings.blocks, "pairs of blocks per repeat in which calls are timed")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_flag("--json", settings.as_json, "one JSON object instead of tables");
  app.footer("exit code 1: a claim failed (inconclusive ones don't count); 130: stopped by Ctrl-C");
  if (const auto code = ParseArguments(app, arguments)) return *code;

  using Repeats = std::vector<HooksRepeat>;
  return RunBench<Repeats>(
      "hooks", [&](Workplace& place) { return Measure(settings, place); },
      [&](const Repeats& repeats) {
        std::vector<Claim> claims = HooksClaims(repeats);
        settings.as_json ? PrintJson(settings, repeats, claims)
                         : PrintText(settings, repeats, claims);
        return claims;
      });
}

}  // namespace stagger::cli
