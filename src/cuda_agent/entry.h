// The ways into the driver that hand out functions: the symbols of this library that an app calls
// for others.
#pragma once

#include "cuda/driver_types.h"

extern "C" {
CUresult cuGetProcAddress(const char* name, void** function, int version, unsigned long flags);
CUresult cuGetProcAddress_v2(const char* name, void** function, int version, unsigned long flags,
                             CUdriverProcAddressQueryResult* status);
}
