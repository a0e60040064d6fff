// A scenario file: what `stagger sim` simulates and `stagger admit` judges. scenarios/README.md
// lists its fields and their defaults. Reading is all or nothing, as for a site file.
#pragma once

#include <string>

#include "base/result.h"
#include "lab/sim/scenario.h"

namespace stagger::cli {

// `path` is what errors name.
Result<sim::Scenario> ParseScenario(const std::string& text, const std::string& path);
Result<sim::Scenario> ReadScenario(const std::string& path);

}  // namespace stagger::cli
