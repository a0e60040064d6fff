#include "cuda_agent/devices.h"

#include "cuda_agent/agent_link.h"
#include "cuda_agent/real_driver.h"

namespace stagger::cuda_agent {
namespace {

constexpr int kNoUuidTopic = 2;
constinit DeviceNumbers known;

}  // namespace

int CurrentDevice() {
  CUdevice device = -1;
  if (RealCall<kAt_cuCtxGetDevice>(&device) != CUDA_SUCCESS) return -1;
  if (const int number = known.Find(device); number >= 0) return number;
  CUuuid uuid{};
  CUresult result = RealCall<kAt_cuDeviceGetUuid_v2>(&uuid, device);
  if (result == CUDA_ERROR_NOT_FOUND) result = RealCall<kAt_cuDeviceGetUuid>(&uuid, device);
  if (result == CUDA_ERROR_NOT_FOUND) {
    Agent().say_once(kNoUuidTopic,
                     "running uncontrolled: the CUDA driver does not tell which GPU it is "
                     "(cuDeviceGetUuid)");
  }
  if (result != CUDA_SUCCESS) return -1;
  const int number = Agent().device_of(reinterpret_cast<const std::uint8_t*>(uuid.bytes));
  if (number >= 0) known.Note(device, number);
  return number;
}

void ForgetDevices() { known.AfterForkInChild(); }

}  // namespace stagger::cuda_agent
