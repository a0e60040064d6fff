// The benches behind `stagger bench NAME`. Each takes the words after its name.
#pragma once

#include "console/arguments.h"

namespace stagger::cli {

int BenchCpu(const Arguments& arguments);
int BenchHooks(const Arguments& arguments);
int BenchGate(const Arguments& arguments);
int BenchT4(const Arguments& arguments);
int BenchPlacement(const Arguments& arguments);
int BenchRates(const Arguments& arguments);
int BenchShare(const Arguments& arguments);
int BenchSplit(const Arguments& arguments);

}  // namespace stagger::cli
