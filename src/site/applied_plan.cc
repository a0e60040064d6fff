#include "site/applied_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "documents/json.h"
#include "launch/daemon_control.h"
#include "wire/channel.h"

namespace stagger::cli {

using nlohmann::json;

namespace {

void GiveUpPlace(const std::string& daemon, const std::string& stream) {
  // A daemon that does not answer has nothing to be told.
  (void)AskDaemon(daemon, "unplace", {{"streams", json::array({stream})}});
}

}  // namespace

Result<void> AppliedPlan::Ask(const std::vector<json>& requests) {
  for (const json& request : requests) {
    const json answer = STAGGER_TRY(AskDaemon(daemon_, "place", request));
    Hear(answer);
  }
  return {};
}

void AppliedPlan::Hear(const json& answer) {
  for (const documents::GivenPlace& place :
       documents::Read<documents::GivenPlaces>(answer).streams) {
    if (!plan_.Hear(place)) continue;
    const auto started = started_on_.find(place.name);
    if (started == started_on_.end()) continue;
    const bool elsewhere =
        !place.gpus.empty() && !started->second.empty() && place.gpus != started->second;
    news_[place.name] = elsewhere ? place.reason : "";
  }
}

Result<void> AppliedPlan::Give() {
  const auto all = [](const std::string&) { return true; };
  if (auto given = Ask(plan_.Requests(&sockets_, false, all)); !given) return given;
  line_ = STAGGER_TRY(wire::Connect(daemon_));
  chunks_.clear();
  wire::Control follow;
  follow.verb = "places";
  wire::Send(line_.get(), follow);
  return {};
}

bool AppliedPlan::GiveAgain() {
  return !line_.valid() && DaemonListens(daemon_).has_value() && Give().has_value();
}

std::map<std::string, std::string> AppliedPlan::News() {
  wire::Message message;
  while (line_.valid()) {
    const wire::Io io = wire::Receive(line_.get(), &message);
    if (io == wire::Io::kWouldBlock) break;
    const auto* reply = io == wire::Io::kOk ? std::get_if<wire::ControlReply>(&message) : nullptr;
    if (reply == nullptr || !reply->ok) {
      line_.Reset();
      break;
    }
    chunks_ += reply->chunk;
    if (reply->more) continue;
    Hear(json::parse(std::exchange(chunks_, {}), nullptr, /*allow_exceptions=*/false));
  }
  return std::exchange(news_, {});
}

Result<Place> AppliedPlan::Start(const std::string& app) {
  const Place* place = plan_.Find(app);
  if (place == nullptr) return Error{"it has no place"};
  if (place->devices.empty()) return Error{"it has no place: " + place->reason};
  started_on_[app] = place->gpus;
  return *place;
}

void AppliedPlan::Finished(const std::string& app) {
  plan_.Finished(app);
  GiveUpPlace(daemon_, app);
}

Result<void> AppliedPlan::Change(SitePlan next, const std::vector<std::string>& gone,
                                 const std::vector<std::string>& fresh) {
  const auto among = [](const std::vector<std::string>& names) {
    return [&names](const std::string& name) { return std::ranges::count(names, name) > 0; };
  };
  for (const std::string& stream : gone) GiveUpPlace(daemon_, stream);
  for (const std::string& stream : fresh) next.Again(stream);
  SitePlan before = std::exchange(plan_, std::move(next));
  if (auto placed = Ask(plan_.Requests(nullptr, false, among(fresh))); !placed) {
    plan_ = std::move(before);
    (void)Ask(plan_.Requests(nullptr, true, among(gone)));
    return placed;
  }
  return {};
}

Result<Place> AskForPlace(const std::string& daemon, const json& need) {
  const json answer = STAGGER_TRY(AskDaemon(daemon, "place", {{"streams", json::array({need})}}));
  const auto places = documents::Read<documents::GivenPlaces>(answer);
  if (places.streams.empty()) {
    return Error{
        fmt::format("the daemon has no place for '{}'", need.at("name").get<std::string>())};
  }
  return places.streams.front();
}

}  // namespace stagger::cli
