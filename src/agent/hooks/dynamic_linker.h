// Finding the runtime the way the app found it: linked, dlopened, or asked for by dlsym. Any
// thread, also before our constructors: dlsym of the app and of its loader comes through here.
// Takes no lock of ours and never fails; onnxruntime.h and this one include each other's half of
// one hook.
#pragma once

#include "agent/interface.h"

namespace stagger::agent {

// The real dlsym, called from here (so RTLD_NEXT and RTLD_DEFAULT mean "after the agent").
void* RealDlsym(void* handle, const char* name);

// See StaggerAgentInterface::add_dlsym_filter. A fifth filter is not asked.
void AddDlsymFilter(StaggerDlsymFilter filter);

// OrtGetApiBase as the code at `caller` would have found it without us; null if there is none.
void* FindRuntimeEntry(const void* caller);

}  // namespace stagger::agent
