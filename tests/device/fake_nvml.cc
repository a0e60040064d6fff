// A stand-in for libnvidia-ml.so.1: two GPUs. FAKE_NVML says what is wrong with it:
//   init: it does not start; empty: it knows no GPU; mute: nothing of a GPU's use; hang: that, and
//   never comes back; many: twenty GPUs.
// FAKE_NVML_PIDS adds compute processes to the first GPU: "123,456". FAKE_NVML_MODE is the second
// one's compute mode, as NVML numbers them.
// Built by itself, with none of the project's headers: it must agree with NVML, not with our
// declarations of it.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

bool Is(const char* what) {
  const char* set = getenv("FAKE_NVML");
  return set != nullptr && strcmp(set, what) == 0;
}

unsigned Count() { return Is("empty") ? 0 : Is("many") ? 20 : 2; }

// A handle is the index plus one.
unsigned Index(void* device) { return static_cast<unsigned>(reinterpret_cast<size_t>(device)) - 1; }

int Put(char* out, unsigned length, const char* text) {
  if (strlen(text) + 1 > length) return 7;
  strcpy(out, text);
  return 0;
}

constexpr unsigned long long kGigabyte = 1'000'000'000;

}  // namespace

extern "C" {

struct FakeMemory {
  unsigned long long total, free, used;
};
struct FakeUtilization {
  unsigned gpu, memory;
};
struct FakeProcess {
  unsigned pid;
  unsigned long long used;
  unsigned gpu_instance, compute_instance;
};

int nvmlInit_v2(void) { return Is("init") ? 9 : 0; }
int nvmlShutdown(void) { return 0; }

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = Count();
  return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index >= Count()) return 2;
  *device = reinterpret_cast<void*>(static_cast<size_t>(index) + 1);
  return 0;
}

int nvmlDeviceGetName(void* device, char* name, unsigned length) {
  return Put(name, length, Index(device) == 0 ? "Fake T4" : "Fake A10");
}

int nvmlDeviceGetUUID(void* device, char* uuid, unsigned length) {
  char text[64];
  snprintf(text, sizeof text, "GPU-00010203-0405-0607-0809-0a0b0c0d0e%02x", Index(device));
  return Put(uuid, length, text);
}

int nvmlDeviceGetMemoryInfo(void* device, FakeMemory* memory) {
  memory->total = Index(device) == 0 ? 16 * kGigabyte : 24 * kGigabyte;
  memory->used = (Index(device) + 1) * kGigabyte;
  memory->free = memory->total - memory->used;
  return 0;
}

int nvmlDeviceGetUtilizationRates(void* device, FakeUtilization* rates) {
  while (Is("hang")) pause();
  if (Is("mute")) return 3;
  *rates = {Index(device) == 0 ? 37U : 0U, 5};
  return 0;
}

int nvmlDeviceGetComputeMode(void* device, int* mode) {
  if (Is("mute")) return 3;
  const char* set = getenv("FAKE_NVML_MODE");
  *mode = set != nullptr && Index(device) == 1 ? atoi(set) : 0;
  return 0;
}

// Twenty processes on the first GPU, more than a first guess at a buffer; none on the second.
int nvmlDeviceGetComputeRunningProcesses_v3(void* device, unsigned* count, FakeProcess* out) {
  if (Is("mute")) return 3;
  const char* pids = getenv("FAKE_NVML_PIDS");
  if (pids != nullptr && Index(device) == 0) {
    const unsigned room = *count;
    *count = 0;
    for (const char* at = pids; *at != 0;) {
      char* end = nullptr;
      const unsigned pid = static_cast<unsigned>(strtoul(at, &end, 10));
      if (*count < room) out[*count] = {pid, 1'000'000'000, 0, 0};
      ++*count;
      at = *end == ',' ? end + 1 : end;
    }
    return *count > room ? 7 : 0;
  }
  const unsigned there = Index(device) == 0 ? 20 : 0;
  const unsigned room = *count;
  *count = there;
  if (room < there) return 7;
  for (unsigned i = 0; i < there; ++i) {
    out[i] = {100 + i, i == 0 ? ~0ULL : i * 1'000'000ULL, 0, 0};
  }
  return 0;
}
}
