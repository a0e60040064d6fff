// Pipelines from launch strings, and what of GStreamer is missing, with the Debian package that has
// it. On any thread, after gst_init. Must never let an element that is not installed go unnamed.
#pragma once

#include <gst/gst.h>

#include <string>

#include "base/result.h"

namespace stagger::relay {

// The caller's to unref. Error: elements that are not installed.
Result<GstElement*> ParsePipeline(const std::string& launch);

// For an element message of a pipeline: what it lacks, with the package that has it; empty if the
// message says nothing of that kind.
std::string MissingPlugin(GstMessage* message);

}  // namespace stagger::relay
