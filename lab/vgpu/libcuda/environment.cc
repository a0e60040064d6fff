#include "lab/vgpu/libcuda/environment.h"

#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "lab/vgpu/device_list.h"
#include "lab/vgpu/quantity.h"

namespace stagger::vgpu {

void Complain(const std::string& text) {
  const std::string line = "stagger: virtual GPU: " + text + "\n";
  (void)!write(STDERR_FILENO, line.data(), line.size());
}

Hello HelloFor(std::uint32_t number, const Welcome& device) {
  Hello hello;
  hello.device = number;
  if (const char* text = std::getenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE")) {
    char* end = nullptr;
    const double percentage = std::strtod(text, &end);
    if (end == text || *end != '\0' || !(percentage > 0) || percentage > 100) {
      Complain(std::string("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE is '") + text +
               "'; expected a number above 0, up to 100");
    } else {
      hello.share = percentage / 100;
    }
  }
  if (const char* text = std::getenv("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT")) {
    for (std::string rest = text; !rest.empty();) {
      const std::string part = NextPart(&rest, ',');
      const std::size_t equals = part.find('=');
      const auto limit =
          equals == std::string::npos ? std::nullopt : ParseSize(part.substr(equals + 1));
      if (!limit) {
        Complain(std::string("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT is '") + text +
                 "'; expected DEVICE=SIZE, for example 0=2G");
        break;
      }
      const std::string which = part.substr(0, equals);
      const bool meant = which.starts_with("GPU-") ? UuidText(device).starts_with(which)
                                                   : which == std::to_string(number);
      if (meant) hello.memory_limit = *limit;
    }
  }
  return hello;
}

std::vector<FaultOrder> FaultsFromEnvironment() {
  const char* text = std::getenv(kFaultVariable);
  if (text == nullptr) return {};
  Result<std::vector<FaultOrder>> orders = ParseFaults(text);
  if (orders) return std::move(orders).value();
  Complain(std::string(kFaultVariable) + ": " + orders.error().message);
  return {};
}

}  // namespace stagger::vgpu
