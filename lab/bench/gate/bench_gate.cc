// stagger bench gate: what a turn costs, beside a bare ping-pong between two processes.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "base/try.h"
#include "console/arguments.h"
#include "console/table.h"
#include "lab/bench/bench.h"
#include "lab/bench/bench_frame.h"
#include "lab/bench/claims.h"
#include "lab/bench/gate/gate_trial.h"
#include "lab/legs/leg.h"
#include "lab/legs/machine.h"
#include "lab/legs/progress_line.h"
#include "launch/private_daemon.h"
#include "launch/scratch_dir.h"
#include "launch/workplace.h"

namespace stagger::cli {
namespace {

constexpr int kRate = 60;  // turns a second while the daemon's CPU time is taken
constexpr double kKilledLimitUs = 10'000;

struct Settings {
  int repeats = 10;
  int seconds = 5;
  int samples = 500;
  int kills = 20;
  bool as_json = false;
};

struct Findings {
  std::vector<GateBlock> blocks;
  std::vector<bool> disturbed;  // per block
  std::vector<Paired> shares;   // per second
};

using Series = std::vector<double> GateSamples::*;
using Pinning = GateSamples GateBlock::*;

struct Kind {
  const char* name;
  Pinning pinning;
  Series series;
  const char* what;
};
constexpr Kind kKinds[] = {
    {"ping-pong", &GateBlock::together, &GateSamples::ping_pong, "a bare packet there and back"},
    {"grant", &GateBlock::together, &GateSamples::grant, "request to grant, nobody waiting"},
    {"hand-over", &GateBlock::together, &GateSamples::hand_over, "release to the next one's grant"},
    {"ping-pong-apart", &GateBlock::apart, &GateSamples::ping_pong, "the same across two cores"},
    {"grant-apart", &GateBlock::apart, &GateSamples::grant, "the same across two cores"},
    {"hand-over-apart", &GateBlock::apart, &GateSamples::hand_over, "the same across two cores"},
};

Result<Findings> Measure(const Settings& settings, PrivateDaemon& daemon, StopSignal& stop) {
  ProgressLine line;
  Findings findings;
  const pid_t pid = daemon.process().pid();
  {
    GateTrial trial = STAGGER_TRY(GateTrial::Prepare(daemon.socket(), pid));
    const auto ours = [&] {
      return OwnCpuTime() + trial.PartnersCpuTime() + ProcessCpuTime(pid).value_or(Duration{});
    };
    // The first block warms everything up and is not counted.
    for (int block = 0; block <= settings.repeats; ++block) {
      line.Update(fmt::format("block {}/{}", block, settings.repeats));
      const DisturbanceWatch watch(ours);
      GateBlock result = STAGGER_TRY(trial.RunBlock(settings.samples, settings.kills, stop));
      if (block == 0) continue;
      findings.disturbed.push_back(watch.SoFar().disturbed());
      findings.blocks.push_back(std::move(result));
    }
  }
  line.Update(fmt::format("the daemon at {} turns a second: {} s", kRate, settings.seconds));
  const DisturbanceWatch watch(
      [&] { return OwnCpuTime() + ProcessCpuTime(pid).value_or(Duration{}); });
  const std::vector<double> shares =
      STAGGER_TRY(DaemonShare(daemon.socket(), pid, kRate, settings.seconds, stop));
  const bool disturbed = watch.SoFar().disturbed();
  for (const double share : shares) findings.shares.push_back({share, disturbed});
  line.Finish(fmt::format("{} blocks done", settings.repeats));
  return findings;
}

double PartOf(const std::vector<double>& values, double Distribution::*part) {
  return (*Describe(values)).*part;
}

bool Measured(const Findings& findings, Pinning pinning) {
  return !(findings.blocks.front().*pinning).ping_pong.empty();
}

// One claim: a part of a kind's distribution against the same part of the ping-pong in the same
// placement.
Claim Compare(const Findings& findings, const Kind& kind, const char* part_name,
              double Distribution::*part, double limit) {
  std::vector<Paired> values;
  for (std::size_t i = 0; i < findings.blocks.size(); ++i) {
    const GateSamples& samples = findings.blocks[i].*kind.pinning;
    values.push_back({PartOf(samples.*kind.series, part) / PartOf(samples.ping_pong, part),
                      findings.disturbed[i]});
  }
  return Judge(fmt::format("{} / ping-pong, {}", kind.name, part_name), values, Bound::kAtMost,
               limit);
}

std::vector<Claim> Claims(const Findings& findings) {
  std::vector<Claim> claims;
  for (const Kind& kind : kKinds) {
    if (kind.series == &GateSamples::ping_pong || !Measured(findings, kind.pinning)) continue;
    claims.push_back(Compare(findings, kind, "p50", &Distribution::p50, 2));
    claims.push_back(Compare(findings, kind, "p99", &Distribution::p99, 10));
  }
  std::vector<Paired> killed;
  for (std::size_t i = 0; i < findings.blocks.size(); ++i) {
    killed.push_back(
        {PartOf(findings.blocks[i].killed, &Distribution::max), findings.disturbed[i]});
  }
  claims.push_back(
      Judge("killed-holder, worst of a block (us)", killed, Bound::kAtMost, kKilledLimitUs));
  claims.push_back(Judge(fmt::format("daemon's share of a core at {} turns/s", kRate),
                         findings.shares, Bound::kAtMost, 0.02));
  return claims;
}

struct Row {
  const char* name;
  Distribution measurements;  // us
  std::optional<Distribution> base;
  const char* what;
  int apps;
};

// Each figure's median over the blocks.
template <typename Of>
Distribution MedianOfBlocks(const Findings& findings, Of of) {
  Distribution result;
  for (const auto part : {&Distribution::min, &Distribution::mean, &Distribution::p50,
                          &Distribution::p99, &Distribution::max}) {
    std::vector<double> values;
    for (const GateBlock& block : findings.blocks) values.push_back(PartOf(of(block), part));
    result.*part = *Median(values);
  }
  return result;
}

std::vector<Row> Rows(const Findings& findings) {
  std::vector<Row> rows;
  for (const Kind& kind : kKinds) {
    if (!Measured(findings, kind.pinning)) continue;
    const auto of = [&kind](Series series) {
      return [&kind, series](const GateBlock& block) { return block.*kind.pinning.*series; };
    };
    rows.push_back({kind.name, MedianOfBlocks(findings, of(kind.series)),
                    MedianOfBlocks(findings, of(&GateSamples::ping_pong)), kind.what,
                    kind.series == &GateSamples::grant ? 1 : 2});
  }
  rows.push_back({"killed-holder",
                  MedianOfBlocks(findings, [](const GateBlock& block) { return block.killed; }),
                  std::nullopt, "the holder's kill to the next one's grant", 2});
  return rows;
}

nlohmann::ordered_json LegJson(const Row& row, int repeats) {
  Leg leg;
  leg.name = row.name;
  if (leg.name.rfind("ping-pong", 0) != 0) {
    leg.policy = "fifo";
    leg.concurrency = 1;
  }
  leg.apps = row.apps;
  leg.repeats = repeats;
  nlohmann::ordered_json json = ToJson(leg);
  const Distribution& us = row.measurements;
  json["handoff_ms"] = {{"min", us.min / 1000},
                        {"mean", us.mean / 1000},
                        {"p50", us.p50 / 1000},
                        {"p99", us.p99 / 1000},
                        {"max", us.max / 1000}};
  return json;
}

BenchReport Report(const Settings& settings, const Findings& findings) {
  BenchReport report;
  Table table({"leg", "p50 us", "p99 us", "max us", "x p50", "x p99", "what"});
  for (const Row& row : Rows(findings)) {
    const Distribution& d = row.measurements;
    const auto times = [&](double Distribution::*part) {
      return row.base ? fmt::format("{:.2f}", d.*part / (*row.base).*part) : std::string("-");
    };
    table.AddRow({row.name, fmt::format("{:.1f}", d.p50), fmt::format("{:.1f}", d.p99),
                  fmt::format("{:.1f}", d.max), times(&Distribution::p50),
                  times(&Distribution::p99), row.what});
    report.legs.push_back(LegJson(row, settings.repeats));
  }
  report.text = fmt::format(
      "{} blocks of {} samples each ({} kills), interleaved; medians over the blocks\n\n{}\n",
      settings.repeats, settings.samples, settings.kills, table.ToString());
  report.settings = {
      {"repeats", settings.repeats}, {"samples", settings.samples}, {"kills", settings.kills}};
  report.claims = Claims(findings);
  return report;
}

Result<Findings> MeasureWithDaemon(const Settings& settings, Workplace& place) {
  const ScratchDir dir = STAGGER_TRY(ScratchDir::Make(place.keeper));
  DaemonSpec spec;
  spec.socket = dir.File("daemon.sock");
  spec.policy = "fifo";
  spec.concurrency = "1";
  spec.err_file = dir.File("staggerd.err");
  PrivateDaemon daemon = STAGGER_TRY(PrivateDaemon::Start(place.installation, spec, place.keeper));
  return Measure(settings, daemon, place.stop);
}

}  // namespace

int BenchGate(const Arguments& arguments) {
  Settings settings;
  CLI::App app{
      "What a turn costs: processes that talk to a daemon directly, beside a bare ping-pong "
      "between two "
      "processes in the same placement, interleaved block by block; and the daemon's own CPU time.",
      "stagger bench gate"};
  AddRepeats(app, &settings.repeats, "blocks", &settings.as_json);
  app.add_option("--seconds", settings.seconds, "how long the daemon's CPU time is taken")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--samples", settings.samples, "of each kind per block")
      ->check(CLI::Range(10, 100000))
      ->capture_default_str();
  app.add_option("--kills", settings.kills, "holders killed per block")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  if (const auto code = ParseArguments(app, arguments)) return *code;

  return RunBench<Findings>(
      "gate", settings.as_json,
      [&](Workplace& place) { return MeasureWithDaemon(settings, place); },
      [&](const Findings& findings) { return Report(settings, findings); });
}

}  // namespace stagger::cli
