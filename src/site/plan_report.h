// A plan said in words and as JSON: per device what it serves, how full it is, what binds and how
// much more fits; per stream where it is and why. Pure but for the simulation of small plans, which
// takes threads.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "placement/keep_plan.h"

namespace stagger::cli {

struct PlanReport {
  struct Headroom {
    std::string app;
    double fps = 0;
    std::uint32_t more = 0;
  };
  struct Device {
    std::string name;
    double speed = 1;
    double memory_gb = 0;
    std::vector<std::string> streams;
    double utilisation_ratio = 0;
    bool admitted = false;
    double memory_used_gb = 0;
    double margin_ratio = 0;     // how much longer all its bodies may get
    std::string binding_stream;  // whose deadline would be missed first; empty: none
    std::vector<Headroom> headroom;
    std::string headroom_text;
    std::string reason;
  };
  struct Stream {
    std::string name;
    double fps_required = 0;
    double fps = 0;
    std::vector<std::string> devices;
    double latency_p95_ms = 0;  // from a frame's arrival to its result
    std::string reason;
  };
  bool feasible = false;
  std::size_t devices_used = 0;
  std::uint32_t devices_least = 0;  // no plan uses fewer; 0: not known
  std::string method;
  bool simulated = false;  // where latency_p95_ms is from; else it is the deadline, a bound
  std::vector<Device> devices;
  std::vector<Stream> streams;
  std::vector<std::string> advice;  // for all that does not fit
};

PlanReport ReportOf(const placement::PlacementProblem& problem, const placement::MadePlan& made,
                    const std::map<std::string, double>& p95 = {});

nlohmann::ordered_json ToJson(const PlanReport& report);
std::string ToText(const PlanReport& report);

}  // namespace stagger::cli
