#include "lab/bench/bench_frame.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/try.h"

namespace stagger::cli {
namespace {

std::string Outcome(const std::string& name, const LegRun& run) {
  std::string text = fmt::format("{:<24}", name);
  if (run.leg.fps) text += fmt::format(" {:6.1f} fps", *run.leg.fps);
  if (run.leg.inference_ms) {
    text += fmt::format("  mean {:6.1f}  p99 {:6.1f} ms", run.leg.inference_ms->mean,
                        run.leg.inference_ms->p99);
  }
  if (run.leg.drop_ratio) text += fmt::format("  drops {:4.1f} %", *run.leg.drop_ratio * 100);
  if (run.disturbed()) text += "  disturbed: " + run.WhyDisturbed();
  return text;
}

}  // namespace

void AddRepeats(CLI::App& app, int* repeats, const char* help, bool* as_json) {
  app.add_option("--repeats", *repeats, help)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_flag("--json", *as_json, "one JSON object instead of tables");
  app.footer("exit code 1: a claim failed (inconclusive ones don't count); 130: stopped by Ctrl-C");
}

void AddBenchOptions(CLI::App& app, BenchOptions* options, const BenchHelp& help) {
  AddRepeats(app, &options->repeats, help.repeats, &options->as_json);
  app.add_option("--seconds", options->seconds, help.seconds)
      ->check(CLI::Range(help.least_seconds, help.most_seconds))
      ->capture_default_str();
}

int PrintReport(const char* name, bool as_json, const BenchReport& report) {
  if (as_json) {
    fmt::print("{}\n",
               BenchJson(name, report.legs, report.device, report.settings, report.claims).dump(2));
  } else {
    fmt::print("{}{}", report.text, report.claims.empty() ? "" : ToText(report.claims));
  }
  return ExitCode(report.claims);
}

Result<LegRuns> MeasureInterleaved(const std::vector<BenchLeg>& legs, int repeats,
                                   Workplace& place) {
  ProgressLine line;
  LegRuns runs;
  const TimePoint start = Now();
  for (int repeat = 0; repeat < repeats; ++repeat) {
    for (std::size_t i = 0; i < legs.size(); ++i) {
      const BenchLeg& leg = legs[(i + static_cast<std::size_t>(repeat)) % legs.size()];
      const std::string where =
          fmt::format("[{}/{}] {:4.0f} s  ", repeat + 1, repeats, ToMs(Now() - start) / 1000);
      LegTools tools{place.installation, place.keeper, place.stop, {}};
      if (line.live()) {
        tools.progress = [&](const Progress& progress) {
          line.Update(fmt::format(
              "{}{:<24} {:.0f}/{:g} s{}", where, progress.leg, progress.elapsed, progress.seconds,
              progress.frames > 0 ? fmt::format(", {} frames", progress.frames) : ""));
        };
      }
      LegRun run = STAGGER_TRY(leg.run(repeat, tools));
      line.Finish(where + Outcome(leg.name, run));
      runs[leg.name].push_back(std::move(run));
    }
  }
  return runs;
}

std::vector<Leg> MedianLegs(const std::vector<std::string>& names, const LegRuns& runs) {
  std::vector<Leg> medians;
  for (const std::string& name : names) {
    std::vector<Leg> legs;
    std::vector<Leg> tight;
    int disturbed = 0;
    for (const LegRun& run : runs.at(name)) {
      legs.push_back(run.leg);
      if (run.tight) tight.push_back(*run.tight);
      if (run.disturbed()) ++disturbed;
    }
    for (const std::vector<Leg>& kind : {legs, tight}) {
      if (kind.empty()) continue;
      medians.push_back(MedianLeg(kind));
      medians.back().disturbed_repeats = disturbed;
    }
  }
  return medians;
}

Result<void> AwaitEnd(ChildProcess& app, Duration limit, StopSignal& stop) {
  const TimePoint deadline = Now() + limit;
  while (Now() < deadline) {
    if (stop.Raised()) return Error{"interrupted"};
    const std::optional<ExitStatus> status =
        app.WaitUntil(std::min(deadline, Now() + std::chrono::milliseconds{100}));
    if (status && !status->ok()) return Error{"failed: " + ToString(*status)};
    if (status) return {};
  }
  return Error{"did not end in time"};
}

std::string Number(const std::optional<double>& value, double factor, int digits) {
  return value ? fmt::format("{:.{}f}", *value * factor, digits) : "-";
}

Table LegTable(const std::vector<Leg>& legs, const std::vector<std::string>& more_headers,
               const std::vector<std::vector<std::string>>& more) {
  std::vector<std::string> header{"leg", "fps", "min..max", "drops %", "mean ms",
                                  "p50", "p99", "max",      "body ms", "overlap %"};
  header.insert(header.end(), more_headers.begin(), more_headers.end());
  Table table(header);
  for (std::size_t i = 0; i < legs.size(); ++i) {
    const Leg& leg = legs[i];
    const auto part = [&](double Distribution::*member) {
      return leg.inference_ms ? Number((*leg.inference_ms).*member, 1, 1) : "-";
    };
    std::vector<std::string> row{
        leg.name,
        Number(leg.fps, 1, 1),
        leg.fps_spread ? fmt::format("{:.1f}..{:.1f}", leg.fps_spread->min, leg.fps_spread->max)
                       : "-",
        Number(leg.drop_ratio, 100, 1),
        part(&Distribution::mean),
        part(&Distribution::p50),
        part(&Distribution::p99),
        part(&Distribution::max),
        leg.body_ms ? Number(leg.body_ms->mean, 1, 1) : "-",
        Number(leg.overlap_ratio, 100, 1)};
    if (i < more.size()) row.insert(row.end(), more[i].begin(), more[i].end());
    table.AddRow(row);
  }
  return table;
}

nlohmann::ordered_json BenchJson(const std::string& bench, nlohmann::ordered_json legs,
                                 nlohmann::ordered_json device,
                                 const nlohmann::ordered_json& settings,
                                 const std::vector<Claim>& claims) {
  nlohmann::ordered_json json;
  json["bench"] = bench;
  json["legs"] = std::move(legs);
  json["device"] = std::move(device);
  for (const auto& [name, value] : settings.items()) json[name] = value;
  json["claims"] = nlohmann::ordered_json::array();
  for (const Claim& claim : claims) json["claims"].push_back(ToJson(claim));
  return json;
}

}  // namespace stagger::cli
