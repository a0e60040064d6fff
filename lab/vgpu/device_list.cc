#include "lab/vgpu/device_list.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace stagger::vgpu {

UniqueFd Connect(const char* path, const Hello& hello, Welcome* welcome) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof address.sun_path) return {};
  std::strcpy(address.sun_path, path);
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return {};
  while (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) return {};
  }
  if (send(fd.get(), &hello, sizeof hello, MSG_NOSIGNAL) < 0) return {};
  ssize_t size;
  do {
    size = recv(fd.get(), welcome, sizeof *welcome, 0);
  } while (size < 0 && errno == EINTR);
  if (size != sizeof *welcome || welcome->type != Type::kWelcome) return {};
  return fd;
}

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
  const Note order{Type::kSwitch, 0, here ? 1u : 0u};
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
