// Copying a function table whose size we don't know.
#pragma once

#include <onnxruntime_c_api.h>

namespace stagger::agent {

// A malloc'ed copy of the runtime's table with everything that follows it in its segment, up to a
// bound: a runtime newer than our header has more entries than we can count, and all must be there.
// Null if the table's surroundings can't be told.
OrtApi* CopyTable(const OrtApi* table);

}  // namespace stagger::agent
