// Where the programs of a site file are looked for.
#pragma once

#include <string>

#include "base/result.h"

namespace stagger::cli {

// $PATH, then the site file's folder, then the examples that came with us.
Result<std::string> FindProgram(const std::string& program, const std::string& folder,
                                const std::string& examples);

}  // namespace stagger::cli
