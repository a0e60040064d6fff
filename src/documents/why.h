// The answer to "why" (docs/status-api.md), of each stream that the name means. Values.
#pragma once

#include "documents/status.h"

namespace stagger::documents {

struct Rival {
  std::string name;
  double weight = 1;
  Number fps_required, fps_assigned;
  double fps = 0;
};

struct Rate {
  double min_fps = 0;
  Number cap_fps;
  double occupied_ms = 0;
  Number lowered_s;
};

struct Behind {
  std::string stream;
  double time_ms = 0, ratio = 0;
};

struct Wait {
  double ago_s = 0;
  std::string device;
  double wait_ms = 0, deferred_ms = 0;
  std::uint32_t overtaken = 0;
  std::string reason;
};

struct ReasonCount {
  std::string reason;
  int count = 0;
};

struct Waits {
  std::size_t count = 0, accounted = 0, overtaken = 0;
  double time_ms = 0, deferred_ms = 0, queued_ms = 0;
  std::vector<Behind> behind;
  double behind_gone_ms = 0, nobody_ms = 0, nobody_ratio = 0;
  std::optional<Wait> longest;
  std::vector<ReasonCount> reasons;
  std::vector<Wait> recent;
};

struct Incident {
  std::string kind;
  double ago_s = 0, after_ms = 0;
};

struct WhyStream {
  Stream stream;
  std::optional<Device> device;
  std::vector<Rival> rivals;
  Rate rate;
  Names served, on_streams;
  double lease_ms = 0, wait_bound_ms = 0;
  Waits waits;
  std::vector<Incident> incidents;
  std::vector<Fault> faults;
};

struct Why {
  Policy policy;
  std::string admission;
  Mps mps;
  std::vector<WhyStream> streams;
};

}  // namespace stagger::documents
