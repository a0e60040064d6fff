// A recording as a Chrome trace (Trace Event Format, JSON), which Perfetto and chrome://tracing
// open: one process per device, one track per stream, and on it each wait and each body.
#pragma once

#include <nlohmann/json.hpp>

#include "record/recording.h"

namespace stagger::record {

// Times in us from the first step. What still runs or waits at the end is left out.
nlohmann::ordered_json ChromeTrace(const Recording& recording);

}  // namespace stagger::record
