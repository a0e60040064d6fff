#include "lab/vgpu/faults.h"

#include <cstdlib>

namespace stagger::vgpu {

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
