#include "site/site_reload.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/try.h"
#include "site/site_processes.h"

namespace stagger::cli {
namespace {

// The file as it is now; what has to be asked of the machine is as it was.
Result<Site> ReadAgain(const RunningSite& running) {
  Result<Site> next = ReadSite(running.file);
  if (!next) return next;
  const Site& now = running.site;
  if (running.plan != nullptr && next->devices == "auto" && next->declared.empty()) {
    next->declared = now.declared;
    next->devices = now.devices;
  }
  if (next->devices != now.devices || next->declared != now.declared || next->cores != now.cores) {
    return Error{
        "devices: changed, which a site that runs cannot follow; stop it and start it again"};
  }
  if (next->mps != now.mps) {
    return Error{"mps: changed, which a site that runs cannot follow; stop it and start it again"};
  }
  if (next->restart_on_move != now.restart_on_move) {
    return Error{
        "on_move: changed, which a site that runs cannot follow; stop it and start it again"};
  }
  for (SiteApp& app : next->apps) {
    if (app.profile || running.plan == nullptr) continue;
    const auto same = std::ranges::find(now.apps, app.stream.name,
                                        [](const SiteApp& each) { return each.stream.name; });
    const auto known =
        same != now.apps.end() ? same : std::ranges::find(now.apps, app.app, &SiteApp::app);
    if (known == now.apps.end() || (known == same && known->command != app.command)) {
      return Error{app.stream.name +
                   ": no profile, and nothing is tried while the site runs; expected a profile"};
    }
    app.profile = known->profile;
  }
  return next;
}

}  // namespace

Result<SiteChange> Reload(RunningSite* running) {
  Site next = STAGGER_TRY(ReadAgain(*running));
  SiteChange change;
  std::vector<std::string> fresh;
  Site started = next;
  started.apps.clear();
  for (const SiteApp& app : next.apps) {
    const auto before = std::ranges::find(running->site.apps, app.stream.name,
                                          [](const SiteApp& each) { return each.stream.name; });
    if (before != running->site.apps.end() && *before == app) continue;
    if (before != running->site.apps.end()) change.stop.push_back(app.stream.name);
    fresh.push_back(app.stream.name);
    started.apps.push_back(app);
  }
  for (const SiteApp& app : running->site.apps) {
    const bool stays = std::ranges::any_of(
        next.apps, [&](const SiteApp& each) { return each.stream.name == app.stream.name; });
    if (!stays) change.stop.push_back(app.stream.name);
  }
  std::optional<SitePlan> plan;
  if (running->plan != nullptr) {
    plan = STAGGER_TRY(running->plan->plan().ChangedTo(next, running->partial));
  }
  std::vector<Supervised> apps =
      STAGGER_TRY(PrepareApps(started, plan ? &*plan : nullptr, *running->installation,
                              running->socket, running->executors));
  if (const Result<void> applied = ApplyPolicy(next, running->socket); !applied) {
    return applied.error();
  }
  if (const Result<void> mps = ApplyMps(next, running->socket, &apps); !mps) return mps.error();
  if (plan) {
    const auto applied = running->plan->Change(std::move(*plan), change.stop, fresh);
    if (!applied) return applied.error();
  }
  change.start = std::move(apps);
  running->site = std::move(next);
  return change;
}

}  // namespace stagger::cli
