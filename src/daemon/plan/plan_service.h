// Where the plan in force meets the world: processes that ask for places (the command line),
// executors that serve there (watched), streams to be told when they move, and places that are free
// again because their process has ended. Loop thread only. Never waits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "daemon/loop/event_loop.h"
#include "daemon/plan/executor_figures.h"
#include "daemon/plan/executor_watch.h"
#include "daemon/plan/gpu_figures.h"
#include "daemon/plan/gpu_presence.h"
#include "daemon/plan/measure_worker.h"
#include "daemon/plan/plan_request.h"
#include "placement/in_force.h"

namespace stagger::daemon {

class PlanService {
 public:
  static constexpr std::size_t kMostStreams = 1024;
  static constexpr std::size_t kMostDevices = 256;

  // Told where a stream's inferences go from now on: sockets of executors, none where it has no
  // place; and why. nullopt: it has no place to be told of any more.
  using Assign = std::function<void(const std::string& stream,
                                    const std::optional<std::vector<std::string>>& sockets,
                                    const std::string& why)>;
  // Executors that are to have its model ready beside those.
  using Standby = std::function<void(const std::string& stream, std::vector<std::string> sockets)>;
  // What it may ask for at most, frames a second; 0: what it needs.
  using Cap = std::function<void(const std::string& stream, double fps)>;
  // `acted` is called after this service acted by itself, outside of a request.
  PlanService(EventLoop* loop, std::vector<device::Device> devices, Assign assign, Standby standby,
              Cap cap, std::function<void()> acted)
      : loop_(loop),
        devices_(std::move(devices)),
        assign_(std::move(assign)),
        standby_(std::move(standby)),
        cap_(std::move(cap)),
        acted_(std::move(acted)) {}
  ~PlanService();

  const placement::PlanInForce& placement() const { return placement_; }

  // What is seen of a GPU, the `device`-th, beyond what NVML says.
  using ReadGpu = std::function<placement::DeviceFigures(
      GpuFigures* figures, const device::Gpu& gpu, const device::GpuUse& use, DeviceId device)>;
  void MeasureGpus(ReadGpu read) { read_gpu_ = std::move(read); }

  // An app says that a GPU has failed: it may be gone.
  void LookAtGpus();

  // What process `owner` asks for. The answer is the places of the streams it named, as JSON;
  // nothing has changed on an error.
  Result<nlohmann::json> Place(const nlohmann::json& body, pid_t owner, TimePoint now);
  // {"streams": names}: their places are free.
  Result<nlohmann::json> Unplace(const nlohmann::json& body, TimePoint now);
  // The places of streams of process `owner` that have changed after `*told`, a count of changes,
  // oldest first: some of them, and `*told` says which are left. nullopt: none.
  std::optional<nlohmann::json> PlacesSince(std::uint64_t* told, pid_t owner) const;

 private:
  struct Owner {
    UniqueFd process;
    EventLoop::WatchId watch = 0;
    PlaceRequest draft;  // what came with `more`
  };

  Result<Owner*> OwnerOf(pid_t pid);
  Result<std::vector<placement::PlacedStream>> StreamsOf(PlaceRequest* request, pid_t owner) const;
  std::optional<placement::DeviceKind> OnlyKind() const;  // of all devices
  Result<void> Watch(const placement::PlacedDevice& device);
  Result<void> WatchGpu(const placement::PlacedDevice& device);
  // After the plan has taken note that a device or its executor is gone, or back.
  void OnPresence(const placement::PlanInForce::Changed& changed);
  void OnFigures(const std::string& device, const placement::DeviceFigures& figures);
  void MeasureNext();
  // What was noted since `noted` by measuring, and where that sends streams.
  void TellNews(std::uint64_t noted, const placement::PlanInForce::Changed& changed);
  void OnMeasured(MeasureWorker::Outcome outcome);
  // The plan, to be changed here and now: what is being measured is of the plan before, and is
  // measured again.
  placement::PlanInForce& Change() {
    ++changes_;
    return placement_;
  }
  void TellRates();
  void OnOwnerGone(pid_t pid);
  void Apply(const placement::PlanInForce::Changed& changed);
  void PlanStandbySoon();
  void PlanStandby();  // of one device; the next one a moment later
  // Before their places are taken away.
  void Forget(const std::vector<std::string>& streams);
  std::vector<std::string> SocketsOf(const placement::PlacedOn& on) const;
  nlohmann::json PlaceOf(const placement::PlacedStream& stream) const;

  EventLoop* loop_;
  std::vector<device::Device> devices_;
  Assign assign_;
  Standby standby_;
  Cap cap_;
  std::set<std::string> lowered_;  // streams that `cap_` was told of last with a rate
  std::function<void()> acted_;
  ReadGpu read_gpu_ = [](GpuFigures*, const device::Gpu&, const device::GpuUse&, DeviceId) {
    return placement::DeviceFigures();
  };
  placement::PlanInForce placement_;
  std::uint64_t changes_ = 0;                 // so many times it was changed here
  std::uint64_t measured_changes_ = 0;        // of these when measuring began
  std::vector<MeasureWorker::Told> told_;     // not yet measured
  std::unique_ptr<MeasureWorker> measuring_;  // null: no figures have come yet
  std::unique_ptr<Timer> standby_timer_;
  std::uint32_t standby_next_ = 0;  // device
  std::map<pid_t, Owner> owners_;
  std::map<std::string, std::unique_ptr<ExecutorWatch>> watches_;  // by device
  std::unique_ptr<GpuPresence> gpus_;                              // null: no plan has had any
};

}  // namespace stagger::daemon
