// Why a stream gets what it gets: the newest waits of the streams that a name means, laid over what
// ran meanwhile, beside their parts of the status document.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/view/status.h"
#include "documents/why.h"

namespace stagger::daemon {

// What the loop copies. All that takes long is left to the thread that answers.
struct WhyFacts {
  struct One {
    ClientId client;
    documents::WhyStream known;  // with nothing that comes from waits or from the status
    core::Newest<core::PastWait, 64> waits;
  };
  std::shared_ptr<const Snapshot> snapshot;
  TimePoint now;
  std::vector<core::DeviceState> devices;
  std::map<ClientId, std::string> names;
  std::vector<One> streams;

  // Any thread. Error: a stream that the snapshot does not have yet.
  Result<documents::Why> Explain() const;
};

// Loop thread. `name`: a stream's, an app's with copies, or a pid. Error: one line for the
// user.
Result<WhyFacts> FactsFor(const EngineHost& host, std::shared_ptr<const Snapshot> snapshot,
                          const std::string& name, TimePoint now);

}  // namespace stagger::daemon
