#include "site/probe.h"

#include <fmt/core.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/try.h"
#include "look/observed_run.h"
#include "look/profile_report.h"
#include "site/site_program.h"

namespace stagger::cli {
namespace {

// This process on one core meanwhile, and so whatever it starts.
class OnCore {
 public:
  explicit OnCore(const std::string& device) {
    if (!device.starts_with("cpu:")) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(std::strtoul(device.c_str() + 4, nullptr, 10), &set);
    moved_ = sched_getaffinity(0, sizeof before_, &before_) == 0 &&
             sched_setaffinity(0, sizeof set, &set) == 0;
  }
  ~OnCore() {
    if (moved_) sched_setaffinity(0, sizeof before_, &before_);
  }
  OnCore(const OnCore&) = delete;
  OnCore& operator=(const OnCore&) = delete;

 private:
  cpu_set_t before_{};
  bool moved_ = false;
};

Result<SiteProfile> ProbeApp(Workplace& place, const Site& site, const SiteApp& app) {
  // The app itself runs, so one that does not use a GPU cannot be tried on one.
  const auto device = std::ranges::find(site.declared, !app.executor, [](const SiteDevice& each) {
    return each.on.starts_with("gpu:");
  });
  if (device == site.declared.end()) {
    return Error{app.executor
                     ? "no profile, and it cannot be tried: only GPUs have executors here, which "
                       "the app itself does not use; expected a profile: {body_ms: ...}"
                     : "no device of the site is for it"};
  }
  std::string program =
      STAGGER_TRY(FindProgram(app.command.front(), site.folder, place.installation.examples()));
  Environment environment = app.environment;
  if (device->on.starts_with("gpu:")) environment["CUDA_VISIBLE_DEVICES"] = device->on.substr(4);
  const OnCore stay(device->on);
  fmt::print(stderr, "stagger: {}: has no profile; it runs alone on {} for {:g} s\n", app.app,
             device->on, ToMs(kProbeTime) / 1000);
  const Observed observed =
      STAGGER_TRY(Observe(place, {app.command, program}, kProbeTime, nullptr, environment));
  if (observed.interrupted) return Error{"interrupted"};
  PhaseProfile best;
  for (const PhaseProfile& profile : PhaseProfiles(observed.programs)) {
    if (profile.inferences > best.inferences) best = profile;
  }
  if (best.inferences < kLeastProbed) {
    return Error{
        fmt::format("no profile, and a probe saw {} inferences in {:.1f} s, which are too "
                    "few: expected a profile: {{body_ms: ...}}",
                    best.inferences, ToMs(observed.took) / 1000)};
  }
  // A share of a core has been probed as the whole of it.
  const double speed = device->plan.speed / device->share;
  SiteProfile found;
  found.pre_ms = ToMs(best.pre.p99) * speed;
  found.body_ms = std::max(ToMs(best.body.p99) * speed, 1e-3);
  found.post_ms = ToMs(best.post.p99) * speed;
  fmt::print(
      stderr,
      "stagger: {}: profile: {{pre_ms: {:.3g}, body_ms: {:.3g}, post_ms: {:.3g}{}}}  # p99 of "
      "{} inferences, memory not seen\n",
      app.app, found.pre_ms, found.body_ms, found.post_ms, speed == 1 ? ", here: true" : "",
      best.inferences);
  found.here = true;
  return found;
}

}  // namespace

bool NeedsProbe(const Site& site) {
  return std::ranges::any_of(site.apps, [](const SiteApp& app) { return !app.profile; });
}

Result<void> Probe(Workplace& place, Site* site) {
  std::map<std::string, SiteProfile> known;
  for (SiteApp& app : site->apps) {
    if (app.profile) continue;
    if (!known.contains(app.app)) {
      const Result<SiteProfile> found = ProbeApp(place, *site, app);
      if (!found) return Error{fmt::format("{}: {}", app.app, found.error().message)};
      known[app.app] = *found;
    }
    app.profile = known[app.app];
  }
  return {};
}

}  // namespace stagger::cli
