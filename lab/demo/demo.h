// `stagger demo`: camera apps on this machine, alone, uncontrolled and controlled.
#pragma once

#include "console/arguments.h"

namespace stagger::cli {

// Takes the words after the verb and returns the exit code. Main thread, once.
int DemoVerb(const Arguments& arguments);

}  // namespace stagger::cli
