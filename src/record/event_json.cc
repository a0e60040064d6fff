#include "record/event_json.h"

#include <stdexcept>
#include <string>

namespace stagger::record {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

ordered_json Of(const core::PolicySpec& policy) {
  return {{"name", policy.name},
          {"concurrency", policy.concurrency},
          {"auto", policy.auto_concurrency},
          {"demand_limit", policy.demand_limit},
          {"spacing_ns", policy.spacing.count()},
          {"elastic", policy.elastic}};
}

core::PolicySpec PolicyFrom(const json& from) {
  core::PolicySpec policy;
  policy.name = from.at("name");
  policy.concurrency = from.at("concurrency");
  policy.auto_concurrency = from.at("auto");
  policy.demand_limit = from.value("demand_limit", 0.0);
  policy.spacing = Duration{from.at("spacing_ns").get<Duration::rep>()};
  policy.elastic = from.at("elastic");
  return policy;
}

Duration Time(const json& from, const char* key) {
  return Duration{from.at(key).get<Duration::rep>()};
}
ClientId Client(const json& from) { return {from.at("client").get<std::uint64_t>()}; }
TurnSeq Seq(const json& from) { return {from.at("seq").get<std::uint64_t>()}; }
DeviceId Device(const json& from) { return {from.at("device").get<std::uint32_t>()}; }

// A stream's setting, under its site field's name, or as a time in ns. What was recorded before
// there was the setting lacks it.
void PutSetting(ordered_json& out, const char* key, const char*, double value) { out[key] = value; }
void PutSetting(ordered_json& out, const char*, const char* key, Duration value) {
  out[key] = value.count();
}
void GetSetting(const json& from, const char* key, const char*, double* value) {
  *value = from.value(key, *value);
}
void GetSetting(const json& from, const char*, const char* key, Duration* value) {
  *value = Duration{from.value(key, value->count())};
}

struct EventWriter {
  ordered_json operator()(const core::ClientJoined& e) const {
    ordered_json out = {{"event", "joined"}, {"client", e.client.value}, {"name", e.spec.name}};
#define STAGGER_TOLD_SETTING(field, told, ...) PutSetting(out, #field, #told "_ns", e.spec.told);
#include "base/stream_settings.inc"
    if (e.spec.excess != Excess::kPace) out["excess"] = ToString(e.spec.excess);
    return out;
  }
  ordered_json operator()(const core::ClientLeft& e) const {
    return {{"event", "left"}, {"client", e.client.value}};
  }
  ordered_json operator()(const core::TurnRequested& e) const {
    ordered_json out = {{"event", "requested"},
                        {"client", e.client.value},
                        {"seq", e.seq.value},
                        {"device", e.device.value},
                        {"since_call_ns", e.since_call.count()},
                        {"gated", e.gated}};
    if (e.exclusive) out["sole"] = true;
    return out;
  }
  ordered_json operator()(const core::TurnReleased& e) const {
    return {{"event", "released"},       {"client", e.client.value},  {"seq", e.seq.value},
            {"body_ns", e.body.count()}, {"wait_ns", e.wait.count()}, {"call_ns", e.call.count()}};
  }
  ordered_json operator()(const core::InferenceEnded& e) const {
    return {{"event", "ended"},
            {"client", e.client.value},
            {"device", e.device.value},
            {"post_ns", e.post.count()},
            {"call_ns", e.call.count()}};
  }
  ordered_json operator()(const core::TurnCancelled& e) const {
    return {{"event", "cancelled"}, {"client", e.client.value}, {"seq", e.seq.value}};
  }
  ordered_json operator()(const core::TurnClaimed& e) const {
    return {{"event", "claimed"},
            {"client", e.client.value},
            {"seq", e.seq.value},
            {"device", e.device.value},
            {"held_ns", e.held.count()}};
  }
  ordered_json operator()(const core::WarmupPassed& e) const {
    return {{"event", "warmup"}, {"client", e.client.value}, {"count", e.count}};
  }
  ordered_json operator()(const core::InferenceForwarded& e) const {
    return {{"event", "forwarded"}, {"client", e.client.value}, {"call_ns", e.call.count()}};
  }
  ordered_json operator()(const core::PolicySet& e) const {
    return {{"event", "policy"}, {"policy", Of(e.policy)}};
  }
  ordered_json operator()(const core::RateCapped& e) const {
    return {{"event", "capped"}, {"client", e.client.value}, {"fps", e.fps}};
  }
  ordered_json operator()(const core::ExcessHandled& e) const {
    return {{"event", "excess"},
            {"client", e.client.value},
            {"skipped", e.skipped},
            {"held", e.deferred},
            {"refused", e.refused}};
  }
  ordered_json operator()(const core::Tick&) const { return {{"event", "tick"}}; }
};

struct ActionWriter {
  ordered_json operator()(const core::Grant& a) const {
    return {{"action", "grant"},
            {"client", a.client.value},
            {"seq", a.seq.value},
            {"device", a.device.value},
            {"lease_ns", a.lease.count()},
            {"held_ns", a.deferred.count()},
            {"cores", a.cores},
            {"reason", static_cast<int>(a.reason)},
            {"why", ToString(a.reason)}};
  }
  ordered_json operator()(const core::Expire& a) const {
    return {{"action", "expire"},
            {"client", a.client.value},
            {"seq", a.seq.value},
            {"device", a.device.value},
            {"reason", static_cast<int>(a.reason)},
            {"why", ToString(a.reason)}};
  }
  ordered_json operator()(const core::Configure& a) const {
    ordered_json out = {{"action", "configure"},
                        {"client", a.client.value},
                        {"gating", a.gating},
                        {"wait_bound_ns", a.wait_bound.count()},
                        {"reason", static_cast<int>(a.reason)},
                        {"why", ToString(a.reason)}};
    if (a.period > Duration{}) out["period_ns"] = a.period.count();
    if (a.exclusive != 0) out["sole"] = a.exclusive;
    return out;
  }
};

}  // namespace

ordered_json ToJson(const core::EngineConfig& config) {
  ordered_json devices = ordered_json::array();
  for (const core::DeviceSpec& device : config.devices) {
    devices.push_back({{"name", device.name}, {"cores", device.cores}});
  }
  return {{"devices", devices},
          {"policy", Of(config.policy)},
          {"lease_floor_ns", config.lease_floor.count()},
          {"lease_factor", config.lease_factor},
          {"lease_ceiling_ns", config.lease_ceiling.count()},
          {"active_window_ns", config.active_window.count()},
          {"sole_after_ns", config.exclusive_after.count()}};
}

ordered_json ToJson(const core::Event& event) { return std::visit(EventWriter{}, event); }
ordered_json ToJson(const core::Action& action) { return std::visit(ActionWriter{}, action); }

core::EngineConfig ConfigFrom(const json& from) {
  core::EngineConfig config;
  for (const json& device : from.at("devices")) {
    config.devices.push_back({device.at("name"), device.at("cores")});
  }
  config.policy = PolicyFrom(from.at("policy"));
  config.lease_floor = Time(from, "lease_floor_ns");
  config.lease_factor = from.at("lease_factor");
  config.lease_ceiling = Time(from, "lease_ceiling_ns");
  config.active_window = Time(from, "active_window_ns");
  config.exclusive_after = Duration{from.value("sole_after_ns", Duration::rep{0})};
  return config;
}

core::Event EventFrom(const json& from) {
  const std::string kind = from.at("event");
  if (kind == "joined") {
    StreamSpec spec;
    spec.name = from.at("name");
#define STAGGER_TOLD_SETTING(field, told, ...) GetSetting(from, #field, #told "_ns", &spec.told);
#include "base/stream_settings.inc"
    if (from.contains("excess")) {
      const auto excess = ParseExcess(from.at("excess").get<std::string>());
      if (!excess) throw std::invalid_argument("no excess is called that");
      spec.excess = *excess;
    }
    return core::ClientJoined{Client(from), spec};
  }
  if (kind == "left") return core::ClientLeft{Client(from)};
  if (kind == "requested") {
    return core::TurnRequested{Client(from),     Seq(from),
                               Device(from),     Time(from, "since_call_ns"),
                               from.at("gated"), from.value("sole", false)};
  }
  if (kind == "released") {
    return core::TurnReleased{Client(from), Seq(from), Time(from, "body_ns"), Time(from, "wait_ns"),
                              Time(from, "call_ns")};
  }
  if (kind == "ended") {
    return core::InferenceEnded{Client(from), Device(from), Time(from, "post_ns"),
                                Time(from, "call_ns")};
  }
  if (kind == "cancelled") return core::TurnCancelled{Client(from), Seq(from)};
  if (kind == "claimed") {
    return core::TurnClaimed{Client(from), Seq(from), Device(from), Time(from, "held_ns")};
  }
  if (kind == "warmup") return core::WarmupPassed{Client(from), from.at("count")};
  if (kind == "forwarded") return core::InferenceForwarded{Client(from), Time(from, "call_ns")};
  if (kind == "policy") return core::PolicySet{PolicyFrom(from.at("policy"))};
  if (kind == "capped") return core::RateCapped{Client(from), from.at("fps")};
  if (kind == "excess") {
    return core::ExcessHandled{Client(from), from.at("skipped"), from.at("held"),
                               from.at("refused")};
  }
  if (kind == "tick") return core::Tick{};
  throw std::invalid_argument("no event is called '" + kind + "'");
}

core::Action ActionFrom(const json& from) {
  const std::string kind = from.at("action");
  const auto reason = static_cast<core::Reason>(from.at("reason").get<std::uint8_t>());
  if (kind == "grant") {
    return core::Grant{
        Client(from),          Seq(from),        Device(from), Time(from, "lease_ns"),
        Time(from, "held_ns"), from.at("cores"), reason};
  }
  if (kind == "expire") return core::Expire{Client(from), Seq(from), Device(from), reason};
  if (kind == "configure") {
    return core::Configure{Client(from),
                           from.at("gating"),
                           Time(from, "wait_bound_ns"),
                           reason,
                           Duration{from.value("period_ns", Duration::rep{0})},
                           from.value("sole", 0U)};
  }
  throw std::invalid_argument("no action is called '" + kind + "'");
}

}  // namespace stagger::record
