#include "lab/vgpu/device_list.h"

#include <sys/socket.h>

#include <cerrno>

#include "lab/vgpu/connect.h"

namespace stagger::vgpu {

std::vector<Welcome> ListDevices(const char* path) {
  std::vector<Welcome> devices;
  Hello hello;
  hello.observer = true;
  std::uint32_t count = 1;
  for (hello.device = 0; hello.device < count; ++hello.device) {
    Welcome welcome;
    if (!Connect(path, hello, &welcome).valid()) return {};
    count = welcome.devices;
    devices.push_back(welcome);
  }
  return devices;
}

bool SwitchDevice(const char* path, std::uint32_t device, bool here) {
  Hello hello;
  hello.observer = true;
  hello.device = device;
  Welcome welcome;
  const UniqueFd fd = Connect(path, hello, &welcome);
  SwitchRecord order;
  order.here = here;
  if (!fd.valid() || send(fd.get(), &order, sizeof order, MSG_NOSIGNAL) < 0) return false;
  Answer answer;
  ssize_t size;
  do {
    size = recv(fd.get(), &answer, sizeof answer, 0);
  } while (size < 0 && errno == EINTR);
  return size == sizeof answer;
}

std::string UuidText(const Welcome& device) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "GPU";
  for (int i = 0; i < 16; ++i) {
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = static_cast<unsigned char>(device.uuid[i]);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

}  // namespace stagger::vgpu
