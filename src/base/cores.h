// Which CPU cores there are for this process.
#pragma once

#include <vector>

namespace stagger {

// Those it may run on, ascending; none if the system does not say.
std::vector<unsigned> UsableCores();

}  // namespace stagger
