#include "lab/vgpu/quantity.h"

#include <cmath>
#include <cstdlib>
#include <string_view>

namespace stagger::vgpu {

std::optional<Duration> ParseTime(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::string_view unit = end;
  const double scale = unit == "ns"   ? 1
                       : unit == "us" ? 1e3
                       : unit == "ms" ? 1e6
                       : unit == "s"  ? 1e9
                                      : 0;
  if (end == text.c_str() || scale == 0 || !(number >= 0) || number * scale > 1e15) {
    return std::nullopt;
  }
  return Duration{std::llround(number * scale)};
}

std::optional<std::uint64_t> ParseSize(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string_view unit = end;
  double scale = 1;
  if (!unit.empty()) {
    const std::size_t power = std::string_view("KMGT").find(unit.front() & ~0x20);
    if (power != std::string_view::npos) {
      scale = std::pow(1024.0, static_cast<double>(power + 1));
      unit.remove_prefix(1);
      if (unit == "iB") unit = "B";
    }
    if (unit == "B") unit = "";
  }
  if (end == text.c_str() || !unit.empty() || !(number > 0) || number * scale > 1e18) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(number * scale);
}

std::string NextPart(std::string* rest, char separator) {
  const std::size_t end = rest->find(separator);
  std::string part = rest->substr(0, end);
  *rest = end == std::string::npos ? "" : rest->substr(end + 1);
  return part;
}

Result<std::vector<FaultOrder>> ParseFaults(const std::string& text) {
  std::vector<FaultOrder> orders;
  std::string rest = text;
  while (!rest.empty()) {
    std::string part = NextPart(&rest, ',');
    const std::string whole = part;
    const std::string kind = NextPart(&part, ':');
    FaultOrder order;
    if (kind == "launch") order.fault = Fault::kLaunch;
    if (kind == "address") order.fault = Fault::kAddress;
    if (kind == "server") order.fault = Fault::kServer;
    if (kind == "hang") order.fault = Fault::kHang;
    if (kind == "lost") order.fault = Fault::kLost;
    const std::size_t colon = part.rfind(':');
    order.kernel = part.substr(0, colon);
    const std::string number = colon == std::string::npos ? "" : part.substr(colon + 1);
    char* end = nullptr;
    order.nth = std::strtoull(number.c_str(), &end, 10);
    if (order.fault == Fault::kNone || order.kernel.empty() || number.empty() || *end != '\0' ||
        order.nth == 0) {
      return Error{"'" + whole +
                   "' is not a fault; expected launch, address, lost, server or hang, " +
                   "then :KERNEL:N, for example launch:conv:3"};
    }
    orders.push_back(order);
  }
  return orders;
}

}  // namespace stagger::vgpu
