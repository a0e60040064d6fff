// staggerd: wires the parts together and runs the loop. Exit codes: 0 ok, 1 failed, 2 bad usage.

#include <fcntl.h>
#include <sched.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/stop_signals.h"
#include "base/try.h"
#include "core/policies.h"
#include "daemon/clients/engine_host.h"
#include "daemon/clients/server.h"
#include "daemon/control.h"
#include "daemon/gpu/mps.h"
#include "daemon/loop/event_loop.h"
#include "daemon/loop/log_queue.h"
#include "daemon/loop/notify.h"
#include "daemon/loop/worker.h"
#include "daemon/options.h"
#include "daemon/plan/plan_service.h"
#include "daemon/view/http_server.h"
#include "daemon/view/snapshot_board.h"
#include "daemon/view/status.h"
#include "device/devices.h"
#include "device/gpu_watch.h"
#include "device/nvidia.h"
#include "record/queued_recorder.h"
#include "wire/channel.h"
#include "wire/listener.h"
#include "wire/timers.h"

namespace stagger::daemon {
namespace {

// A command line may ask again at once, but not make the loop build documents all the time.
constexpr Duration kControlMaxAge = std::chrono::milliseconds{20};

// A stream that has had a GPU to itself for this long begins bodies without waiting for answers.
constexpr Duration kExclusiveAfter = std::chrono::milliseconds{500};

// At its end the daemon waits for so long until its recording, and its log, are written.
constexpr Duration kLastWords = std::chrono::milliseconds{200};
static_assert(wire::kMpsQuitLimit + 2 * kLastWords < wire::kDaemonStopLimit);

// What is gathered into one line of the log must be one fault in the books, too.
static_assert(wire::kFaultGather < GpuFaults::kTogether);

std::vector<std::uint16_t> OwnCores() {
  std::vector<std::uint16_t> cores;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (unsigned cpu = 0; cpu < 256; ++cpu) {  // what the wire's core mask can name
    if (CPU_ISSET(cpu, &set)) cores.push_back(static_cast<std::uint16_t>(cpu));
  }
  return cores;
}

struct Hardware {
  std::vector<device::Device> devices;
  std::unique_ptr<device::GpuWatch> watch;  // null: there are no GPUs to look at
  std::string no_gpu;                       // why there is none to share; empty: there is one
};

Result<Hardware> FindDevices(const device::DeviceChoice& choice) {
  Hardware hardware;
  std::unique_ptr<device::Nvidia> nvidia;
  std::string why_none;
  if (choice.every_gpu || !choice.gpus.empty()) {
    if (auto opened = device::Nvidia::Open()) {
      nvidia = std::move(opened).value();
    } else {
      why_none = opened.error().message;
      if (choice.every_gpu) spdlog::info("no GPUs: {}", why_none);
    }
  }
  const auto found =
      nvidia ? std::span<const device::Gpu>(nvidia->gpus()) : std::span<const device::Gpu>();
  auto chosen = STAGGER_TRY(device::Choose(choice, OwnCores(), found, why_none, wire::kMaxGpus));
  for (const device::Device& device : chosen.all) {
    if (!device.gpu) continue;
    spdlog::info("{} is {}, {:.1f} GB, {}", device.spec.name, device.gpu->model,
                 static_cast<double>(device.gpu->memory_bytes) / 1e9,
                 device::GpuUuidText(device.gpu->uuid));
  }
  for (const device::Gpu& gpu : chosen.left_out) {
    spdlog::info("{} is left out: {} GPUs are the most", device::GpuName(gpu.number),
                 wire::kMaxGpus);
  }
  hardware.devices = std::move(chosen.all);
  if (hardware.devices.size() == 1) {
    hardware.no_gpu = why_none.empty() ? "devices leaves them out" : why_none;
  }
  if (nvidia) hardware.watch = std::make_unique<device::GpuWatch>(std::move(nvidia));
  return hardware;
}

// Two descriptors per client; the usual soft limit is 1024.
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Clients come once it is known whether there is MPS: they must know before they use the GPU. The
// loop runs meanwhile, so that a signal still ends the daemon.
Result<void> AwaitMps(EventLoop* loop, Mps* mps) {
  std::optional<Result<void>> outcome;
  mps->Start([&](Result<void> settled) {
    outcome = std::move(settled);
    loop->Stop();
  });
  if (outcome) return *outcome;
  if (const auto ran = loop->Run(); !ran) return ran.error();
  if (outcome) return *outcome;
  mps->Stop([] {});
  return Error{"ended by a signal while MPS was starting"};
}

// `signals`: readable where the daemon is told to stop.
Result<void> Serve(const Options& options, const UniqueFd& signals, LogQueue* log) {
  const std::string path = options.socket.empty() ? wire::DefaultSocketPath() : options.socket;
  std::optional<gid_t> group;
  if (!options.group.empty()) {
    group = STAGGER_TRY(wire::GroupId(options.group));
  }
  RaiseFileLimit();
  auto listener = STAGGER_TRY(wire::Listen(path, options.group));
  struct Unlink {
    const std::string& path;
    ~Unlink() { unlink(path.c_str()); }
  } unlink_at_end{path};

  auto loop = STAGGER_TRY(EventLoop::Create());
  Server server(loop.get(), group);
  core::EngineConfig config;
  auto hardware = STAGGER_TRY(FindDevices(options.devices));
  std::vector<wire::Gpu> gpus;
  for (const device::Device& device : hardware.devices) {
    const DeviceId id{static_cast<std::uint32_t>(config.devices.size())};
    config.devices.push_back(device.spec);
    if (device.gpu) gpus.push_back({id, device.gpu->uuid});
  }
  config.policy = options.policy;
  config.exclusive_after = kExclusiveAfter;
  config.lease_floor = options.lease_floor;
  config.lease_ceiling = std::max(config.lease_ceiling, config.lease_floor);
  std::optional<record::QueuedRecorder> recorder;
  if (!options.record.empty()) {
    recorder.emplace(STAGGER_TRY(record::Recorder::Create(options.record, config)));
    spdlog::info("recording to {}", options.record);
  }
  auto host = STAGGER_TRY(EngineHost::Create(std::move(config), std::move(gpus), options.admission,
                                             recorder ? &*recorder : nullptr, Now()));

  auto on_signal = loop->Watch(signals.get(), EPOLLIN, [&](std::uint32_t) {
    signalfd_siginfo info{};
    if (read(signals.get(), &info, sizeof info) != sizeof info) return;
    spdlog::info("signal {}: leaving; apps run on uncontrolled", info.ssi_signo);
    loop->Stop();
  });
  if (!on_signal) return on_signal.error();
  auto mps = STAGGER_TRY(Mps::Create(loop.get(), options.mps, path, hardware.no_gpu));
  auto fault_log = STAGGER_TRY(Timer::Create(loop.get(), [&] { host->LogFaults(); }));

  auto board = STAGGER_TRY(SnapshotBoard::Create());
  std::unique_ptr<HttpServer> http;
  std::string http_address;
  if (options.http) {
    if (!options.http_address.loopback()) {
      spdlog::warn("the dashboard listens at {}, open to all that reach that address",
                   options.http_address.ToString());
    }
    http = STAGGER_TRY(HttpServer::Start(options.http_address, !options.http_chosen, board.get()));
    http_address = http->address().ToString();
  }

  PlanService plan_service(loop.get(), hardware.devices, host.get(),
                           [&] { server.DeliverAndReap(); });
  host->WatchFaults([&] { return mps->facts().state == Mps::State::kRunning; },
                    [&] {
                      fault_log->ArmBy(Now() + wire::kFaultGather);
                      plan_service.LookAtGpus();
                    });
  host->KnowExecutors([&](const std::string& socket) {
    const placement::PlacedDevice* device = plan_service.plan()->DeviceAt(socket);
    return device != nullptr ? device->plan.name : std::string();
  });
  Status status(host.get(),
                {path, http_address, std::move(hardware.devices), &loop->steps(),
                 [log] { return log->lost(); }},
                hardware.watch.get(), mps.get(), &plan_service.plan());
  auto worker = STAGGER_TRY(Worker::Create(loop.get()));
  Control control(
      host.get(), &plan_service, [&](TimePoint now) { return status.Latest(kControlMaxAge, now); },
      [&](ClientId client, std::function<Commands::Answer()> work) {
        return worker->Do([&server, client, work = std::move(work)]() -> Worker::FollowUp {
          return [&server, client, answer = work()] { server.Answer(client, answer); };
        });
      },
      [&](ClientId client, const Commands::Answer& answer) { server.Answer(client, answer); },
      [&] { loop->Stop(); });
  // Last, since what fails later would leave it running.
  if (auto ok = AwaitMps(loop.get(), mps.get()); !ok) return ok.error();
  auto on_asked = loop->Watch(board->asked_fd(), EPOLLIN, [&](std::uint32_t) {
    board->ClearAsked();
    board->Publish(status.Latest(SnapshotBoard::kMaxAge, Now()));
  });
  if (!on_asked) return on_asked.error();
  if (auto ok = server.Start(std::move(listener.socket), host.get(), &control); !ok) {
    return ok.error();
  }

  spdlog::info("staggerd {} serves {}: policy {}, {} turn(s) at once, dashboard {}",
               STAGGER_VERSION, path, host->engine().policy().name,
               host->engine().devices().front().concurrency,
               http_address.empty() ? std::string("off") : "http://" + http_address + "/");
  WriteReady(options.ready_fd, http_address);
  NotifySystemd();
  const auto end = loop->Run();
  if (!end) return end.error();
  unlink(path.c_str());
  if (mps->facts().mode != MpsMode::kOff) {
    bool stopped = false;
    mps->Stop([&] {
      stopped = true;
      loop->Stop();
    });
    if (!stopped) (void)loop->Run();  // a second signal ends this, too
  }
  if (recorder) recorder->Drain(kLastWords);
  log->Drain(kLastWords);
  // Requests under way on the dashboard's threads may take a while; nothing of ours waits for them.
  _exit(0);
}

int Main(int argc, char** argv) {
  const auto complain = [](const Error& error, int code) {
    std::fprintf(stderr, "staggerd: %s\n", error.message.c_str());
    return code;
  };
  auto parsed = ParseOptions(argc, argv);
  if (!parsed) return complain(parsed.error(), 2);
  if (parsed->exit) {
    std::fputs(parsed->text.c_str(), stdout);
    return 0;
  }
  const Options& options = parsed->options;
  if (auto valid = core::Validate(options.policy, core::TurnsOf::kApps); !valid) {
    return complain(valid.error(), 2);
  }
  if (options.ready_fd >= 0 && fcntl(options.ready_fd, F_GETFD) < 0) {
    return complain(Error{"--ready-fd: descriptor is not open"}, 2);
  }
  // Before the log has a thread: a signal goes to any thread that does not block it.
  const Result<UniqueFd> signals = TakeStopSignals();
  if (!signals) return complain(signals.error(), 1);
  const auto log =
      std::make_shared<LogQueue>(std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("staggerd", log));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e staggerd %^%l%$: %v");
  const auto served = Serve(options, *signals, log.get());
  log->Drain(kLastWords);
  return served ? 0 : complain(served.error(), 1);
}

}  // namespace
}  // namespace stagger::daemon

int main(int argc, char** argv) { return stagger::daemon::Main(argc, argv); }
