#include "site/plan_site.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "console/sentences.h"

namespace stagger::cli {
namespace {

constexpr int kMost = 100'000;

// Speeds are relative to this one, which the paper measured. Others are not known, so not offered.
const placement::PlanDevice kT4{"t4", 1, 16};

std::optional<double> Number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<int> Whole(const std::string& text, int most) {
  int value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size() || value < 1 || value > most) {
    return std::nullopt;
  }
  return value;
}

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

Error Bad(const std::string& change, const std::string& why) {
  return Error{fmt::format("--what-if {}: {}", change, why)};
}

Result<void> AddDevices(const std::string& change, const std::string& what, PlanSite* site) {
  const std::size_t times = what.find('x');
  const std::optional<int> count =
      times == std::string::npos ? std::nullopt : Whole(what.substr(0, times), kMost);
  if (!count) {
    return Bad(change, fmt::format("'{}'; expected how many of which, as in +1xT4", what));
  }
  const std::string model = what.substr(times + 1);
  const auto declared = std::ranges::find(site->devices, model, &placement::PlanDevice::name);
  placement::PlanDevice device;
  if (declared != site->devices.end()) {
    device = *declared;
  } else if (Lower(model) == kT4.name) {
    device = kT4;
  } else {
    std::vector<std::string> known{kT4.name};
    for (const placement::PlanDevice& each : site->devices) {
      if (known.size() < 12) known.push_back(each.name);
    }
    return Bad(change, fmt::format("no speed is known of '{}'; expected a device of the site or a "
                                   "known model: {}",
                                   model, Join(known, ", ")));
  }
  for (int i = 0, number = 1; i < *count; ++number) {
    device.name = fmt::format("{}-new-{}", Lower(model), number);
    if (std::ranges::count(site->devices, device.name, &placement::PlanDevice::name) > 0) continue;
    site->devices.push_back(device);
    ++i;
  }
  return {};
}

Result<void> DropDevices(const std::string& change, const std::string& what, PlanSite* site) {
  const auto named = std::ranges::find(site->devices, what, &placement::PlanDevice::name);
  if (named != site->devices.end()) {
    site->devices.erase(named);
    return {};
  }
  const std::optional<int> count = Whole(what, kMost);
  if (!count) {
    return Bad(change,
               fmt::format("there is no device '{}'; expected how many, or the name of one", what));
  }
  if (static_cast<std::size_t>(*count) > site->devices.size()) {
    return Bad(change, fmt::format("the site has {} devices; expected at most so many",
                                   site->devices.size()));
  }
  site->devices.resize(site->devices.size() - static_cast<std::size_t>(*count));
  return {};
}

Result<void> ChangeApp(const std::string& change, PlanSite::App* app, const std::string& field,
                       const std::string& text) {
  if (field == "copies") {
    const std::optional<int> copies = Whole(text, kMost);
    if (!copies) {
      return Bad(change, fmt::format("'{}'; expected a whole number from 1 to {}", text, kMost));
    }
    app->copies.clear();
    for (int i = 1; i <= *copies; ++i)
      app->copies.push_back(fmt::format("{}-{}", app->need.name, i));
    return {};
  }
  const std::optional<double> value = Number(text);
  const bool zero = field == "memory_gb";
  if (!value || !(zero ? *value >= 0 : *value > 0)) {
    return Bad(change, fmt::format("'{}'; expected a number {} 0", text, zero ? ">=" : ">"));
  }
  if (field == "fps") {
    app->need.fps = *value;
  } else if (field == "deadline_ms") {
    app->need.deadline = FromMs(*value);
  } else if (field == "body_ms") {
    app->need.body = FromMs(*value);
  } else if (field == "memory_gb") {
    app->need.memory_gb = *value;
  } else {
    return Bad(change, fmt::format("unknown field '{}'; known: fps, copies, deadline_ms, body_ms, "
                                   "memory_gb",
                                   field));
  }
  return {};
}

}  // namespace

placement::PlacementProblem PlanSite::Problem() const {
  placement::PlacementProblem problem;
  problem.devices = devices;
  for (const App& app : apps) {
    for (const std::string& name : app.copies) {
      problem.streams.push_back(app.need);
      problem.streams.back().name = name;
      problem.streams.back().app = app.need.name;
    }
  }
  return problem;
}

Result<PlanSite> PlanSiteOf(const Site& site) {
  PlanSite plan;
  if (site.declared.empty()) {
    return Error{
        "devices: not declared; a plan needs their speed and memory, as in devices: "
        "[{name: a, speed: 1, memory_gb: 16}]"};
  }
  for (const SiteDevice& device : site.declared) plan.devices.push_back(device.plan);
  // Where devices say what they are, so must apps say what they can be on.
  const bool kinds = !site.declared.front().on.empty();
  for (const SiteApp& app : site.apps) {
    const std::string& name = app.stream.name;
    if (plan.apps.empty() || plan.apps.back().need.name != app.app) {
      if (!app.stream.fps) return Error{name + ": no fps; a plan needs the rate of every stream"};
      if (!app.profile) {
        return Error{name +
                     ": no profile; expected e.g. profile: {pre_ms: 2, body_ms: 45, post_ms: "
                     "28, memory_gb: 1.2}"};
      }
      placement::StreamNeed need;
      need.name = need.app = app.app;
      need.fps = *app.stream.fps;
      need.pre = FromMs(app.profile->pre_ms);
      need.body = std::max(FromMs(app.profile->body_ms), Duration{1});
      need.post = FromMs(app.profile->post_ms);
      if (app.stream.deadline_ms) need.deadline = FromMs(*app.stream.deadline_ms);
      need.load = FromMs(app.profile->load_ms);
      need.memory_gb = app.profile->memory_gb;
      if (kinds) {
        need.kind = app.executor ? placement::DeviceKind::kExecutor : placement::DeviceKind::kGpu;
        need.most_parts = app.executor ? app.stream.pipeline + 1 : 1;
      }
      plan.apps.push_back({need, {}});
    }
    plan.apps.back().copies.push_back(name);
  }
  return plan;
}

Result<void> ApplyWhatIf(const std::string& change, PlanSite* site) {
  const std::size_t equals = change.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == change.size()) {
    return Bad(change, "expected FIELD=VALUE, as in devices=+1xT4 or gate.fps=5");
  }
  const std::string field = change.substr(0, equals);
  const std::string value = change.substr(equals + 1);
  if (field == "devices") {
    if (value.front() == '+') return AddDevices(change, value.substr(1), site);
    if (value.front() == '-') return DropDevices(change, value.substr(1), site);
    return Bad(change, fmt::format("'{}'; expected + or - first, as in +1xT4 or -1", value));
  }
  const std::size_t dot = field.rfind('.');
  const std::string name = field.substr(0, dot);
  const auto app =
      std::ranges::find(site->apps, name, [](const PlanSite::App& each) { return each.need.name; });
  if (dot == std::string::npos || app == site->apps.end()) {
    std::vector<std::string> known;
    for (const PlanSite::App& each : site->apps) {
      if (known.size() < 12) known.push_back(each.need.name);
    }
    return Bad(change, fmt::format("'{}' is neither devices nor APP.FIELD; the site's apps: {}",
                                   field, Join(known, ", ")));
  }
  return ChangeApp(change, &*app, field.substr(dot + 1), value);
}

}  // namespace stagger::cli
