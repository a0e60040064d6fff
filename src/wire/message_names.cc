#include "wire/codec.h"

namespace stagger::wire {
namespace {

// Overloads rather than a table: a new message without a name does not compile.
const char* Name(const Hello&) { return "Hello"; }
const char* Name(const Request&) { return "Request"; }
const char* Name(const Release&) { return "Release"; }
const char* Name(const Ended&) { return "Ended"; }
const char* Name(const Faulted&) { return "Faulted"; }
const char* Name(const Exceeded&) { return "Exceeded"; }
const char* Name(const Cancel&) { return "Cancel"; }
const char* Name(const Claim&) { return "Claim"; }
const char* Name(const Ungated&) { return "Ungated"; }
const char* Name(const Control&) { return "Control"; }
const char* Name(const Welcome&) { return "Welcome"; }
const char* Name(const Config&) { return "Config"; }
const char* Name(const Grant&) { return "Grant"; }
const char* Name(const Expired&) { return "Expired"; }
const char* Name(const Refused&) { return "Refused"; }
const char* Name(const RetryAfter&) { return "RetryAfter"; }
const char* Name(const ControlReply&) { return "ControlReply"; }
const char* Name(const Forwarded&) { return "Forwarded"; }
const char* Name(const Uses&) { return "Uses"; }
const char* Name(const Serves&) { return "Serves"; }
const char* Name(const Assign&) { return "Assign"; }

}  // namespace

const char* NameOf(const Message& message) {
  return std::visit([](const auto& m) { return Name(m); }, message);
}

}  // namespace stagger::wire
