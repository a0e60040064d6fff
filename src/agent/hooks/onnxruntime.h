// The hook on ONNX Runtime's C API. The app gets a copy of the runtime's own function table with a
// few entries replaced; everything else, also functions newer than this agent, is the runtime's.
#pragma once

namespace stagger::agent {

// An OrtGetApiBase for the app in place of `real_entry`. The real one if there is no room for
// another runtime (kMaxRuntimes): that app part then runs uncontrolled.
void* HookedEntryFor(void* real_entry);

// Whether an address is one of the entries we hand out.
bool IsOurEntry(const void* entry);

}  // namespace stagger::agent
