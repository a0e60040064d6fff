#include "launch/workplace.h"

#include <utility>

namespace stagger::cli {

Result<Workplace> Workplace::Open() {
  Result<Installation> installation = Installation::Find();
  if (!installation) return installation.error();
  Result<Keeper> keeper = Keeper::Start();
  if (!keeper) return keeper.error();
  Result<StopSignal> stop = StopSignal::Block();
  if (!stop) return stop.error();
  return Workplace{std::move(*installation), std::move(*keeper), std::move(*stop)};
}

}  // namespace stagger::cli
