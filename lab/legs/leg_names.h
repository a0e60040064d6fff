// Choosing legs by name.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace stagger::cli {

// "a,b" as names out of `known`, in `known`'s order and each once; the error names what is unknown.
Result<std::vector<std::string>> ChooseLegs(const std::string& list,
                                            const std::vector<std::string>& known);

}  // namespace stagger::cli
