// Writes a recording as a Chrome trace.
#pragma once

#include <string>

#include "base/result.h"
#include "record/recording.h"

namespace stagger::record {

// Replaces the file. Error: it cannot be written.
Result<void> WriteTrace(const record::Recording& recording, const std::string& path);

}  // namespace stagger::record
