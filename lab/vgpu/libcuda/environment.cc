#include "lab/vgpu/libcuda/environment.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "lab/vgpu/device_list.h"
#include "lab/vgpu/quantity.h"

namespace stagger::vgpu {
namespace {

std::string Trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

constexpr std::size_t kNone = ~std::size_t{0};

// What follows the number does not matter: "1gpu" is 1.
std::size_t ByNumber(const std::vector<Welcome>& devices, const std::string& text) {
  char* end = nullptr;
  const long number = std::strtol(text.c_str(), &end, 10);
  const bool is_one = end != text.c_str() && number >= 0;
  const auto at = static_cast<std::size_t>(number);
  return is_one && at < devices.size() ? at : kNone;
}

std::size_t ByUuid(const std::vector<Welcome>& devices, const std::string& text) {
  std::size_t found = kNone;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (!UuidText(devices[i]).starts_with(text)) continue;
    if (found != kNone) return kNone;  // it may be either
    found = i;
  }
  return found;
}

}  // namespace

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

std::vector<Welcome> VisibleDevices(const std::vector<Welcome>& all, const char* visible,
                                    const char* order) {
  std::vector<Welcome> devices;
  std::ranges::copy_if(all, std::back_inserter(devices),
                       [](const Welcome& device) { return !device.lost; });
  if (order == nullptr || std::strcmp(order, "PCI_BUS_ID") != 0) {
    std::ranges::stable_sort(devices, std::ranges::greater{}, &Welcome::speed);
  }
  if (visible == nullptr) return devices;
  std::vector<Welcome> seen;
  std::vector<std::size_t> taken;
  std::string rest = visible;
  // The first word says what the list is one of.
  const bool uuids = Trimmed(rest).starts_with("GPU-");
  while (!rest.empty()) {
    const std::string word = Trimmed(NextPart(&rest, ','));
    if (uuids && !word.starts_with("GPU-")) break;
    const std::size_t at = uuids ? ByUuid(devices, word) : ByNumber(devices, word);
    if (at == kNone) break;
    if (std::ranges::count(taken, at) > 0) return {};
    taken.push_back(at);
    seen.push_back(devices[at]);
  }
  return seen;
}

std::uint32_t NumberOf(const std::vector<Welcome>& all, const Welcome& device) {
  const auto found = std::ranges::find_if(all, [&](const Welcome& each) {
    return std::memcmp(each.uuid, device.uuid, sizeof each.uuid) == 0;
  });
  return static_cast<std::uint32_t>(found - all.begin());
}

}  // namespace stagger::vgpu
