#include "launch/workplace.h"

#include <utility>

#include "base/try.h"

namespace stagger::cli {

Result<Workplace> Workplace::Open() {
  Installation installation = STAGGER_TRY(Installation::Find());
  Keeper keeper = STAGGER_TRY(Keeper::Start());
  StopSignal stop = STAGGER_TRY(StopSignal::Block());
  return Workplace{std::move(installation), std::move(keeper), std::move(stop)};
}

}  // namespace stagger::cli
