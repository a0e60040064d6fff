#include "site/gpu_faults.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace stagger::cli {

std::vector<GpuFault> FaultsOf(const nlohmann::json& status) {
  std::vector<GpuFault> faults;
  const auto list = status.find("faults");
  if (list == status.end() || !list->is_array()) return faults;
  for (const nlohmann::json& entry : *list) {
    try {
      GpuFault fault;
      fault.number = entry.at("number").get<std::uint64_t>();
      fault.device = entry.at("device").get<std::string>();
      fault.shared = entry.at("shared").get<bool>();
      fault.age = FromMs(entry.at("for_s").get<double>() * 1000);
      if (entry.at("culprit").is_string()) fault.culprit = entry["culprit"].get<std::string>();
      for (const nlohmann::json& stream : entry.at("streams")) {
        fault.streams.push_back({stream.at("name").get<std::string>(),
                                 stream.at("pid").get<pid_t>(), stream.at("present").get<bool>()});
        if (fault.error.empty() || fault.streams.back().name == fault.culprit) {
          fault.error = stream.at("error").get<std::string>();
        }
      }
      faults.push_back(std::move(fault));
    } catch (const nlohmann::json::exception&) {
      continue;  // a daemon of another version
    }
  }
  return faults;
}

}  // namespace stagger::cli
