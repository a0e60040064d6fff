// stagger sim paper: the GPU model fitted to the paper's Table 2, and what it predicts.
#pragma once

#include <cstdint>

namespace stagger::cli {

// Prints to stdout; an exit code.
int SimPaper(std::uint64_t seed, bool as_json);

}  // namespace stagger::cli
