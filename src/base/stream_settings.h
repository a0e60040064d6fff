// The settings of a stream that are not plain numbers, by name: how `stagger run` calls each, and
// how the app's environment does. base/stream_settings.inc is the list. Constants only.
#pragma once

namespace stagger {

struct StreamSetting {
  const char* flag;
  const char* variable;
  const char* help;
};

#define STAGGER_OTHER_SETTING(constant, flag, variable, help) \
  inline constexpr StreamSetting constant{flag, variable, help};
#include "base/stream_settings.inc"

inline constexpr int kMaxPipeline = 16;  // calls that a result may come later

}  // namespace stagger
