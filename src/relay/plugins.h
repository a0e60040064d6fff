// What of GStreamer is missing, and which Debian package has it. After gst_init.
#pragma once

#include <gst/gst.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace stagger::relay {

// Error: one of these elements is not installed; names the package.
Result<void> CheckElements(const std::vector<const char*>& elements);

// For an element message of a pipeline: what it lacks, with the package that has it; empty if the
// message says nothing of that kind.
std::string MissingPlugin(GstMessage* message);

}  // namespace stagger::relay
