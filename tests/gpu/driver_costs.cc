// What driver calls cost, and how soon a thread knows that the GPU is done. A plain driver-API
// program; run.sh runs it with and without the agent and compares. Prints one line of JSON.
//   driver_costs KERNELS.ptx [REPEATS]
#include <dlfcn.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

namespace {

using Handle = void*;
using Pointer = unsigned long long;

void* library = nullptr;

template <typename... Arguments>
void Call(const char* name, Arguments... arguments) {
  const auto function = reinterpret_cast<int (*)(Arguments...)>(dlsym(library, name));
  const int result = function == nullptr ? -1 : function(arguments...);
  if (result == 0) return;
  std::fprintf(stderr, "driver_costs: %s: %d\n", name, result);
  std::exit(1);
}

std::int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

struct Row {
  std::string name;
  std::vector<double> values;
};

double Rank(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

void Print(const std::vector<Row>& rows) {
  std::printf("{");
  for (const Row& row : rows) {
    std::printf("%s\"%s\":{\"p50\":%.1f,\"p99\":%.1f,\"n\":%zu}", &row == rows.data() ? "" : ",",
                row.name.c_str(), Rank(row.values, 0.5), Rank(row.values, 0.99), row.values.size());
  }
  std::printf("}\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: driver_costs KERNELS.ptx [REPEATS]\n"), 2;
  const int repeats = argc > 2 ? std::atoi(argv[2]) : 200;
  library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) return std::fprintf(stderr, "driver_costs: %s\n", dlerror()), 1;
  std::ifstream file(argv[1]);
  const std::string ptx(std::istreambuf_iterator<char>(file), {});

  Handle context = nullptr, module = nullptr, kernel = nullptr, stream = nullptr;
  Handle spinning = nullptr, blocking = nullptr;
  void* host = nullptr;
  Pointer device = 0;
  Call("cuInit", 0u);
  Call("cuDevicePrimaryCtxRetain", &context, 0);
  Call("cuCtxSetCurrent", context);
  Call("cuModuleLoadData", &module, static_cast<const void*>(ptx.c_str()));
  Call("cuModuleGetFunction", &kernel, module, "conv");
  Call("cuStreamCreate", &stream, 1u);
  Call("cuEventCreate", &spinning, 2u);       // no timing
  Call("cuEventCreate", &blocking, 2u | 1u);  // and blocking sync
  Call("cuMemAlloc_v2", &device, std::size_t{1 << 20});
  Call("cuMemHostAlloc", &host, std::size_t{1 << 20}, 0u);

  // Looked up once: what is measured is the call.
  const auto launch_kernel =
      reinterpret_cast<int (*)(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                               unsigned, Handle, void**, void**)>(dlsym(library, "cuLaunchKernel"));
  const auto copy = reinterpret_cast<int (*)(Pointer, const void*, std::size_t, Handle)>(
      dlsym(library, "cuMemcpyHtoDAsync_v2"));
  const auto stream_wait = reinterpret_cast<int (*)(Handle)>(dlsym(library, "cuStreamSynchronize"));
  const auto stream_query = reinterpret_cast<int (*)(Handle)>(dlsym(library, "cuStreamQuery"));
  const auto event_query = reinterpret_cast<int (*)(Handle)>(dlsym(library, "cuEventQuery"));
  const auto event_wait = reinterpret_cast<int (*)(Handle)>(dlsym(library, "cuEventSynchronize"));
  const auto record = reinterpret_cast<int (*)(Handle, Handle)>(dlsym(library, "cuEventRecord"));

  Pointer to = device, from = device;
  int count = 0;
  long long work = 0;
  void* parameters[] = {&to, &from, &count, &work};
  int failed = 0;
  const auto launch = [&] {
    failed |= launch_kernel(kernel, 4, 1, 1, 256, 1, 1, 0, stream, parameters, nullptr);
  };
  const auto wait = [&] { failed |= stream_wait(stream); };
  const auto per_call = [&](int calls, const std::function<void()>& call) {
    const std::int64_t begin = NowNs();
    for (int i = 0; i < calls; ++i) call();
    return static_cast<double>(NowNs() - begin) / calls;
  };

  // The agent lets the first ones through and then learns: not counted.
  for (int i = 0; i < 60; ++i) {
    for (int j = 0; j < 50; ++j) launch();
    wait();
  }
  std::vector<Row> rows(7);
  const char* const names[] = {"launch_ns",         "first_launch_ns", "copy_ns",
                               "event_query_ns",    "stream_query_ns", "record_ns",
                               "launch_and_wait_ns"};
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].name = names[i];
  failed |= record(spinning, stream);
  wait();
  for (int i = 0; i < repeats; ++i) {
    rows[1].values.push_back(per_call(1, launch));
    rows[0].values.push_back(per_call(49, launch));
    wait();
    rows[2].values.push_back(per_call(20, [&] { failed |= copy(device, host, 4096, stream); }));
    wait();
    rows[3].values.push_back(per_call(200, [&] { failed |= event_query(spinning); }));
    rows[4].values.push_back(per_call(200, [&] { failed |= stream_query(stream); }));
    rows[5].values.push_back(per_call(20, [&] { failed |= record(spinning, stream); }));
    wait();
    rows[6].values.push_back(per_call(1, [&] { launch(), wait(); }));
  }

  // A kernel of about a millisecond; then four ways to learn of its end, by turns.
  work = 1 << 8;
  const auto timed = [&] { return per_call(1, [&] { launch(), wait(); }); };
  timed();
  while (timed() < 1e6 && work < (1LL << 30)) work *= 2;
  const std::vector<std::pair<const char*, std::function<void()>>> ways = {
      {"know_stream_wait_ns", wait},
      {"know_blocking_event_ns", [&] { failed |= event_wait(blocking); }},
      {"know_spinning_event_ns", [&] { failed |= event_wait(spinning); }},
      {"know_polling_ns",
       [&] {
         while (event_query(spinning) == 600) {
         }
       }},
      {"know_polling_50us_ns", [&] {
         while (event_query(spinning) == 600) {
           const timespec nap{0, 50'000};
           nanosleep(&nap, nullptr);
         }
       }}};
  for (const auto& way : ways) rows.push_back({way.first, {}});
  for (int i = 0; i < repeats; ++i) {
    for (std::size_t w = 0; w < ways.size(); ++w) {
      const std::int64_t begin = NowNs();
      launch();
      failed |= record(spinning, stream);
      failed |= record(blocking, stream);
      ways[w].second();
      rows[7 + w].values.push_back(static_cast<double>(NowNs() - begin));
      wait();
    }
  }
  if (failed != 0) return std::fprintf(stderr, "driver_costs: a call failed: %d\n", failed), 1;
  Print(rows);
  return 0;
}
