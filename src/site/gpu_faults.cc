#include "site/gpu_faults.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace stagger::cli {

std::vector<GpuFault> FaultsOf(const documents::Status& status) {
  std::vector<GpuFault> faults;
  for (const documents::Fault& told : status.faults) {
    if (told.number == 0 || told.streams.empty()) continue;
    GpuFault fault{told.number, told.device,
                   {},          told.culprit.value_or(""),
                   told.shared, FromMs(told.for_s * 1000),
                   {}};
    for (const documents::FaultyStream& stream : told.streams) {
      fault.streams.push_back({stream.name, stream.pid, stream.present});
      if (fault.error.empty() || stream.name == fault.culprit) fault.error = stream.error;
    }
    faults.push_back(std::move(fault));
  }
  return faults;
}

}  // namespace stagger::cli
