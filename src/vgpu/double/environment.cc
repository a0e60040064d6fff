#include "vgpu/double/environment.h"

#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "vgpu/quantity.h"

namespace stagger::vgpu {

void Complain(const std::string& text) {
  const std::string line = "stagger: virtual GPU: " + text + "\n";
  (void)!write(STDERR_FILENO, line.data(), line.size());
}

Hello HelloFromEnvironment() {
  Hello hello;
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
    std::string rest = text;
    const std::string first = NextPart(&rest, ',');
    const std::size_t equals = first.find('=');
    const auto limit =
        equals == std::string::npos ? std::nullopt : ParseSize(first.substr(equals + 1));
    if (limit) {
      hello.memory_limit = *limit;
    } else {
      Complain(std::string("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT is '") + text +
               "'; expected DEVICE=SIZE, for example 0=2G");
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
