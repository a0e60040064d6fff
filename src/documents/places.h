// What the daemon answers to "place", and tells on "places" (docs/status-api.md). As in status.h.
#pragma once

#include <string>
#include <vector>

#include "documents/status.h"

namespace stagger::documents {

struct GivenPlace {
  std::string name;
  Names devices;    // none: it has no place
  Names executors;  // sockets
  Names gpus;       // UUIDs
  std::string reason;
};

struct GivenPlaces {
  std::vector<GivenPlace> streams;
};

}  // namespace stagger::documents
