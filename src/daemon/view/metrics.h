// The status document as Prometheus text. Pure.
#pragma once

#include <string>

#include "documents/status.h"

namespace stagger::daemon {

std::string MetricsText(const documents::Status& status);

}  // namespace stagger::daemon
