// How the daemon's answer to "why" (docs/status-api.md) reads: a few sentences per stream, each
// with its figures. Pure. What is not known is passed over in silence.
#pragma once

#include <string>

#include "documents/why.h"

namespace stagger::cli {

std::string WhyText(const documents::Why& answer);

}  // namespace stagger::cli
