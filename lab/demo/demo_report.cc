#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "console/table.h"
#include "lab/demo/demo.h"

namespace stagger::cli {
namespace {

constexpr double kContention = 1.05;  // docs/measurements/cpu.md
constexpr int kCamerasPerCore = 3;
constexpr int kFewest = 4;
constexpr int kMost = 16;

const Leg* FindLeg(const DemoReport& report, const std::string& name) {
  for (const Leg& leg : report.legs) {
    if (leg.name == name) return &leg;
  }
  return nullptr;
}

std::optional<double> Ratio(std::optional<double> over, std::optional<double> under) {
  if (!over || !under || *under == 0) return std::nullopt;
  return *over / *under;
}

std::optional<double> Part(const Leg& leg, double Distribution::*part) {
  if (!leg.inference_ms) return std::nullopt;
  return (*leg.inference_ms).*part;
}

std::string Cell(const std::optional<double>& value, const char* unit = "") {
  return value ? fmt::format("{:.1f}{}", *value, unit) : "-";
}

std::optional<double> Percent(const std::optional<double>& ratio) {
  return ratio ? std::optional(*ratio * 100) : std::nullopt;
}

// One line that sets `leg` against `base`.
std::string Comparison(const Leg& leg, const Leg& base) {
  std::string text = fmt::format("{} against {}:", leg.name, base.name);
  if (const auto ratio = Ratio(leg.fps, base.fps))
    text += fmt::format(" throughput x {:.2f},", *ratio);
  if (leg.drop_ratio && base.drop_ratio) {
    text += fmt::format(" drops {:.1f} % instead of {:.1f} %,", *leg.drop_ratio * 100,
                        *base.drop_ratio * 100);
  }
  const auto mean = Ratio(Part(leg, &Distribution::mean), Part(base, &Distribution::mean));
  const auto p99 = Ratio(Part(leg, &Distribution::p99), Part(base, &Distribution::p99));
  if (mean) text += fmt::format(" mean inference x {:.2f},", *mean);
  if (p99) text += fmt::format(" p99 x {:.2f},", *p99);
  text.pop_back();
  return text + "\n";
}

}  // namespace

DemoSize SizeDemo(double alone_fps, int cores, std::optional<int> cameras,
                  std::optional<double> fps) {
  const double total = alone_fps * kContention;
  DemoSize size;
  if (cameras) {
    size.cameras = *cameras;
  } else if (fps) {
    size.cameras =
        static_cast<int>(std::clamp(std::round(total / *fps), double{kFewest}, double{kMost}));
  } else {
    size.cameras = std::clamp(kCamerasPerCore * cores, kFewest, kMost);
  }
  if (fps) {
    size.fps = *fps;
  } else {
    const double each = total / size.cameras;
    // Whole rates read best; slow machines need a finer step.
    size.fps = each >= 2 ? std::round(each) : std::max(0.1, std::round(each * 10) / 10);
  }
  return size;
}

std::string ToText(const DemoReport& report) {
  std::string text = fmt::format(
      "{} cameras x {:g} fps for {:g} s, all started at once, {:g} ms of work per frame\n",
      report.cameras, report.fps, report.seconds, report.work_ms);
  text += fmt::format("on {} cores of {}; one app alone, as fast as it can: {:.1f} fps\n\n",
                      report.device.value("cores", 0), report.device.value("model", "?"),
                      report.alone_fps);
  std::vector<std::string> header{""};
  for (const Leg& leg : report.legs) header.push_back(leg.name);
  Table table(header);
  const auto add = [&](const std::string& name, auto cell) {
    std::vector<std::string> row{name};
    for (const Leg& leg : report.legs) row.push_back(cell(leg));
    table.AddRow(row);
  };
  add("cameras", [](const Leg& leg) { return std::to_string(leg.apps); });
  for (const auto& [name, part] : {std::pair{"inference time  min", &Distribution::min},
                                   {"                mean", &Distribution::mean},
                                   {"                p50", &Distribution::p50},
                                   {"                p99", &Distribution::p99},
                                   {"                max", &Distribution::max}}) {
    add(name, [part = part](const Leg& leg) { return Cell(Part(leg, part), " ms"); });
  }
  add("dropped frames", [](const Leg& leg) { return Cell(Percent(leg.drop_ratio), " %"); });
  add("throughput", [](const Leg& leg) { return Cell(leg.fps, " fps"); });
  text += table.ToString();

  const Leg* controlled = FindLeg(report, "controlled");
  if (controlled != nullptr) {
    text += "\n";
    for (const char* base : {"uncontrolled", "tuned", "cooperative"}) {
      if (const Leg* leg = FindLeg(report, base)) text += Comparison(*controlled, *leg);
    }
  }
  if (!report.disturbed.empty()) text += "\nnote: " + report.disturbed + "; figures may be off\n";
  return text;
}

nlohmann::ordered_json ToJson(const DemoReport& report) {
  nlohmann::ordered_json json;
  json["legs"] = ToJson(report.legs);
  json["device"] = report.device;
  json["cameras"] = report.cameras;
  json["fps"] = report.fps;
  json["seconds"] = report.seconds;
  json["work_ms"] = report.work_ms;
  json["alone_fps"] = OrNull(report.alone_fps);
  json["start"] = "together";  // all cameras at once: the paper's worst case
  json["disturbed"] = OrNull(report.disturbed);
  // Each is the controlled leg's figure over the uncontrolled one's.
  nlohmann::ordered_json ratios{{"fps", nullptr},
                                {"fps_over_alone", nullptr},
                                {"drops", nullptr},
                                {"inference_mean", nullptr},
                                {"inference_p99", nullptr}};
  const Leg* controlled = FindLeg(report, "controlled");
  const Leg* uncontrolled = FindLeg(report, "uncontrolled");
  if (controlled != nullptr)
    ratios["fps_over_alone"] = OrNull(Ratio(controlled->fps, report.alone_fps));
  if (controlled != nullptr && uncontrolled != nullptr) {
    ratios["fps"] = OrNull(Ratio(controlled->fps, uncontrolled->fps));
    ratios["drops"] = OrNull(Ratio(controlled->drops, uncontrolled->drops));
    for (const auto& [name, part] : {std::pair{"inference_mean", &Distribution::mean},
                                     std::pair{"inference_p99", &Distribution::p99}}) {
      ratios[name] = OrNull(Ratio(Part(*controlled, part), Part(*uncontrolled, part)));
    }
  }
  json["ratios"] = ratios;
  return json;
}

}  // namespace stagger::cli
