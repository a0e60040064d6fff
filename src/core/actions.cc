#include "core/actions.h"

namespace stagger::core {

const char* ToString(Reason reason) {
  switch (reason) {
    case Reason::kFree:
      return "a turn was free";
    case Reason::kReleased:
      return "another body ended";
    case Reason::kHolderGone:
      return "the process that held the turn is gone";
    case Reason::kDeadline:
      return "its deadline comes first";
    case Reason::kSole:
      return "no other stream uses the device";
    case Reason::kProbe:
      return "to see how much bodies slow each other down";
    case Reason::kSpacing:
      return "the spacing since the last start has passed";
    case Reason::kLeaseEnded:
      return "the holder kept its turn longer than its lease";
    case Reason::kCancelled:
      return "one that had asked for the turn gave it up";
    case Reason::kPolicyOff:
      return "the policy is off, nothing is gated";
    case Reason::kPolicyChange:
      return "the policy or its limit changed";
    case Reason::kClientsChange:
      return "streams joined or left, so the waiting bound changed";
    case Reason::kRatesChange:
      return "rates were lowered under overload, or came back";
    case Reason::kBodiesChange:
      return "bodies became longer or shorter, so the waiting bound changed";
  }
  return "no reason known";
}

}  // namespace stagger::core
