#include "daemon/clients/admission_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/elastic.h"

namespace stagger::daemon {
namespace {

std::vector<admission::Task> Bare(const std::vector<admission::NamedTask>& named) {
  std::vector<admission::Task> tasks;
  tasks.reserve(named.size());
  for (const admission::NamedTask& task : named) tasks.push_back(task.task);
  return tasks;
}

}  // namespace

const char* ToString(AdmissionMode mode) {
  switch (mode) {
    case AdmissionMode::kOff:
      return "off";
    case AdmissionMode::kWarn:
      return "warn";
    case AdmissionMode::kStrict:
      return "strict";
  }
  return "";
}

std::optional<AdmissionMode> ParseAdmissionMode(const std::string& text) {
  for (const auto mode : {AdmissionMode::kOff, AdmissionMode::kWarn, AdmissionMode::kStrict}) {
    if (text == ToString(mode)) return mode;
  }
  return std::nullopt;
}

std::optional<core::RateCapped> AdmissionService::OnRelease(const core::Engine& engine,
                                                            ClientId client) {
  if (mode_ == AdmissionMode::kOff || verdicts_.contains(client)) return std::nullopt;
  const auto found = engine.streams().find(client);
  if (found == engine.streams().end()) return std::nullopt;
  const core::Stream& stream = found->second;
  if (stream.occupied_samples < admission::kProfiled || !(stream.spec.required_fps > 0)) {
    return std::nullopt;
  }
  // Beside those judged before it, which keep what they were promised.
  admission::DeviceLoad load = admission::LoadOf(engine, stream.last_device);
  std::vector<admission::NamedTask> tasks;
  for (std::size_t i = 0; i < load.tasks.size(); ++i) {
    const Verdict* earlier = Of(load.clients[i]);
    if (load.clients[i] == client || earlier == nullptr) continue;
    if (earlier->cap_fps > 0) load.tasks[i].task.period = FromMs(1000 / earlier->cap_fps);
    tasks.push_back(load.tasks[i]);
  }
  const auto own = std::ranges::find(load.clients, client) - load.clients.begin();
  tasks.push_back(load.tasks[static_cast<std::size_t>(own)]);
  const admission::Fit fit = admission::JudgeFit(tasks);
  Verdict& verdict = verdicts_[client];
  verdict = {fit.admitted, 0, fit.reason};
  const std::string& device = engine.devices()[stream.last_device.value].name;
  if (fit.admitted) {
    spdlog::info("stream '{}' fits on {}: bodies take {:.0f} % of it", stream.spec.name, device,
                 fit.utilisation * 100);
    return std::nullopt;
  }
  spdlog::warn("stream '{}' does not fit on {}: {}", stream.spec.name, device, fit.reason);
  if (mode_ != AdmissionMode::kStrict) return std::nullopt;
  const admission::NamedTask& last = tasks.back();
  const auto fits = admission::HighestRate(Bare(tasks), tasks.size() - 1, last.deadline_follows);
  const double least = std::max(stream.spec.min_fps, core::kLeastShare * stream.spec.required_fps);
  verdict.cap_fps = std::max(least, fits ? admission::RoundedDown(*fits) : 0);
  spdlog::warn("stream '{}' gets {:.3g} fps instead of the {:g} it needs", stream.spec.name,
               verdict.cap_fps, stream.spec.required_fps);
  return core::RateCapped{client, verdict.cap_fps};
}

std::vector<core::RateCapped> AdmissionService::OnLeave(ClientId client) {
  verdicts_.erase(client);
  std::vector<core::RateCapped> lifted;
  for (const auto& [other, verdict] : verdicts_) {
    if (verdict.cap_fps > 0) lifted.push_back({other, 0});
  }
  std::erase_if(verdicts_, [](const auto& entry) { return !entry.second.fits; });
  return lifted;
}

const AdmissionService::Verdict* AdmissionService::Of(ClientId client) const {
  const auto found = verdicts_.find(client);
  return found == verdicts_.end() ? nullptr : &found->second;
}

std::optional<AdmissionService::DeviceVerdict> AdmissionService::Judge(admission::DeviceLoad load) {
  if (load.tasks.empty()) return std::nullopt;
  DeviceVerdict verdict;
  verdict.load = std::move(load);
  verdict.fit = admission::JudgeFit(verdict.load.tasks);
  if (verdict.fit.admitted) {
    std::vector<admission::Task> more = Bare(verdict.load.tasks);
    more.push_back(more.back());
    const bool follows = verdict.load.tasks.back().deadline_follows;
    verdict.headroom_fps = admission::HighestRate(more, more.size() - 1, follows);
    if (verdict.headroom_fps) verdict.headroom_fps = admission::RoundedDown(*verdict.headroom_fps);
  }
  return verdict;
}

}  // namespace stagger::daemon
