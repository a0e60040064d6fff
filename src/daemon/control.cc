#include "daemon/control.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/policies.h"
#include "daemon/clients/engine_host.h"
#include "daemon/plan/plan_service.h"
#include "daemon/view/status.h"
#include "daemon/view/values.h"
#include "daemon/view/why.h"
#include "documents/json.h"

namespace stagger::daemon {

namespace {

using nlohmann::json;

constexpr double kMaxSpacingMs = ToMs(core::kMaxSpacing);

Control::Answer Said(std::string body) {
  return {.ok = true, .stop = false, .body = std::move(body)};
}

Control::Answer Refusal(std::string line) {
  return {.ok = false, .stop = false, .body = Printable(std::move(line))};
}

Control::Answer Told(const PlanService::Outcome& places) {
  return places ? Said(*places) : Refusal(places.error().message);
}

documents::Assigned AllAssigned(const EngineHost& host, TimePoint now) {
  documents::Assigned all;
  for (const auto& [name, given] : host.assignments().all()) {
    all.assignments.push_back(
        {name, given.executors, given.reason, RoundedSeconds(now - given.since)});
  }
  return all;
}

}  // namespace

std::optional<Control::Answer> Control::Handle(const std::string& verb, const std::string& body,
                                               const Asker& asker, TimePoint now) {
  const Access access = asker.access;
  if (verb == "status") {
    return Defer(asker,
                 [snapshot = look_(now)] { return Said(documents::ToText(snapshot->Complete())); });
  }
  if (verb == "why") return Explain(body, asker, now);
  if (verb == "policy") return Policy(body, access, now);
  if (verb == "place" || verb == "unplace") return Place(verb, body, asker);
  if (verb == "places") {
    if (!body.empty()) return Refusal("places: there are no arguments");
    return Answer{.ok = true, .stop = false, .body = R"({"streams":[]})", .follows = true};
  }
  if (verb == "assign") return Assign(body, access, now);
  if (verb == "stop") {
    if (access != Access::kOwner) return Refusal("only the daemon's owner may stop it");
    return Answer{.ok = true, .stop = true, .body = R"({"stopping":true})"};
  }
  return Refusal(
      fmt::format("unknown command '{}': this daemon knows status, why, policy, assign, place, "
                  "unplace, places, stop",
                  verb));
}

std::optional<Control::Answer> Control::Place(const std::string& verb, const std::string& body,
                                              const Asker& asker) {
  if (asker.access != Access::kOwner) {
    return Refusal("only the daemon's owner may give streams a place");
  }
  const json args = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!args.is_object()) return Refusal(verb + ": the arguments are not a JSON object");
  const auto send = [this, client = asker.client](const PlanService::Outcome& places) {
    send_(client, Told(places));
  };
  const std::optional<PlanService::Outcome> at_once =
      verb == "place" ? plan_service_->Place(args, asker.pid, send)
                      : plan_service_->Unplace(args, send);
  return at_once ? std::optional(Told(*at_once)) : std::nullopt;
}

std::optional<std::string> Control::News(pid_t pid, std::uint64_t* told) {
  return plan_service_->PlacesSince(told, pid);
}

std::optional<Control::Answer> Control::Defer(const Asker& asker, std::function<Answer()> work) {
  if (later_(asker.client, std::move(work))) return std::nullopt;
  return Refusal("too many questions wait for an answer");
}

std::optional<Control::Answer> Control::Explain(const std::string& body, const Asker& asker,
                                                TimePoint now) {
  const json args = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!args.is_object() || args.size() != 1 || !args.contains("name") ||
      !args["name"].is_string()) {
    return Refusal("why: the argument is not {\"name\": the name of a stream}");
  }
  auto facts = FactsFor(*host_, look_(now), args["name"].get<std::string>(), now);
  if (!facts) return Refusal(facts.error().message);
  return Defer(asker, [facts = std::move(facts).value()] {
    const Result<documents::Why> why = facts.Explain();
    return why ? Said(documents::ToText(*why)) : Refusal(why.error().message);
  });
}

Control::Answer Control::Policy(const std::string& body, Access access, TimePoint now) {
  if (body.empty()) return Said(PolicyInForce());
  if (access != Access::kOwner) return Refusal("only the daemon's owner may change the policy");
  const json args = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!args.is_object()) return Refusal("policy: the arguments are not a JSON object");

  core::PolicySpec policy = host_->engine().policy();
  for (const auto& [key, value] : args.items()) {
    if (key == "name" && value.is_string()) {
      policy.name = value.get<std::string>();
      // A limit chosen for one policy means little for another.
      if (!args.contains("concurrency")) {
        policy.concurrency = 0;
        policy.auto_concurrency = false;
      }
      if (!args.contains("demand_limit")) policy.demand_limit = 0;
    } else if (key == "concurrency" && value == "auto") {
      policy.auto_concurrency = true;
    } else if (key == "concurrency" && value.is_number_integer() && value >= 0 && value <= 1024) {
      policy.concurrency = value.get<int>();
      policy.auto_concurrency = false;
    } else if (key == "demand_limit" && value.is_number()) {
      policy.demand_limit = value.get<double>();  // SetPolicy judges it
    } else if (key == "spacing_ms" && value.is_number() && value >= 0 && value <= kMaxSpacingMs) {
      policy.spacing = FromMs(value.get<double>());
    } else {
      return Refusal(
          fmt::format("policy: bad argument {}: expected \"name\" (text), "
                      "\"concurrency\" (auto, or 0 to 1024), \"demand_limit\" (0: none, or 1 to "
                      "64) and \"spacing_ms\" (0 to 60000)",
                      json(key).dump(-1, ' ', true, json::error_handler_t::replace)));
    }
  }
  if (auto set = host_->SetPolicy(policy, now); !set) return Refusal(set.error().message);
  return Said(PolicyInForce());
}

Control::Answer Control::Assign(const std::string& body, Access access, TimePoint now) {
  if (body.empty()) return Said(documents::ToText(AllAssigned(*host_, now)));
  if (access != Access::kOwner) return Refusal("only the daemon's owner may assign executors");
  const json args = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!args.is_object()) return Refusal("assign: the arguments are not a JSON object");
  const json name = args.value("name", json());
  const json list = args.value("executors", json(0));
  const json reason = args.value("reason", json(""));
  const bool sound = name.is_string() && reason.is_string() && (list.is_null() || list.is_array());
  std::vector<std::string> executors;
  for (const json& executor : list.is_array() ? list : json::array()) {
    if (executor.is_string()) executors.push_back(executor.get<std::string>());
  }
  if (!sound || (list.is_array() && executors.size() != list.size())) {
    return Refusal(
        "assign: expected \"name\" (text), \"executors\" (a list of sockets or of "
        "executors' names, or null) and perhaps \"reason\" (text)");
  }
  if (list.is_null()) {
    host_->Unassign(name);
  } else if (auto set = host_->Assign(name, executors, reason, now); !set) {
    return Refusal("assign: " + set.error().message);
  }
  documents::Assigned answer = AllAssigned(*host_, now);
  if (list.is_array()) {
    answer.on.emplace();
    for (const std::string& socket : host_->assignments().all().at(name).executors) {
      answer.on->push_back(host_->ExecutorName(socket));
    }
  }
  for (const auto& [client, record] : host_->ledger().streams()) {
    const Assignment* assignment = host_->assignments().Of(record);
    const auto& all = host_->assignments().all();
    const auto given = all.find(name.get<std::string>());
    if (given != all.end() && assignment == &given->second) answer.streams.push_back(record.name);
  }
  return Said(documents::ToText(answer));
}

std::string Control::PolicyInForce() const {
  const core::Engine& engine = host_->engine();
  const documents::Policy policy = PolicyOf(engine.policy());
  documents::PolicyInForce answer{
      policy.name, policy.concurrency, policy.demand_limit, policy.spacing_ms, {}};
  for (const core::DeviceState& device : engine.devices()) {
    answer.devices.push_back({device.name, device.concurrency});
  }
  return documents::ToText(answer);
}

}  // namespace stagger::daemon
