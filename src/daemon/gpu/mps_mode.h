// What the daemon is asked to do about NVIDIA's MPS.
#pragma once

namespace stagger::daemon {

// kAuto uses it where it can be had, kOn insists.
enum class MpsMode : unsigned char { kOff, kAuto, kOn };
const char* ToString(MpsMode mode);  // "off", "auto", "on"

}  // namespace stagger::daemon
