// CHECK(condition): an invariant of our own that must hold, in every build type. Never for what a
// client, a file or a user may get wrong: those are Results, or counters.
#pragma once

namespace stagger {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line) noexcept;

}  // namespace stagger

#define CHECK(condition)                               \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::stagger::CheckFailed(#condition, __FILE__, __LINE__))
