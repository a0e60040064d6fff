// What a stream states of itself: its agent tells the daemon, the engine decides by it. Plain
// values; base/stream_settings.inc is the list of the numbers.
#pragma once

#include <cmath>
#include <string>

#include "base/excess.h"
#include "base/time.h"

namespace stagger {

struct StreamSpec {
  std::string name{};
#define STAGGER_TOLD_SETTING(field, spec, type, unset, ...) type spec{unset};
#include "base/stream_settings.inc"
  Excess excess = Excess::kPace;  // what its agent does with calls beyond its rate
  friend bool operator==(const StreamSpec&, const StreamSpec&) = default;
};

// As users state a value: a plain number, or milliseconds.
inline void SetSetting(double stated, double* value) { *value = stated; }
inline void SetSetting(double stated, Duration* value) {
  *value = std::chrono::microseconds{std::lround(stated * 1000)};
}

}  // namespace stagger
