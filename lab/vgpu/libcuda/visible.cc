#include "lab/vgpu/libcuda/visible.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "lab/vgpu/device_list.h"
#include "lab/vgpu/faults.h"

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
