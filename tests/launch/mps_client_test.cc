#include "launch/mps_client.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "documents/json.h"
#include "site/gpu_faults.h"

namespace stagger::cli {
namespace {

using nlohmann::json;

const json kStatus = json::parse(R"({
  "mps": {"mode": "on", "state": "running", "reason": null, "pipe_directory": "/run/s.mps/pipe"},
  "devices": [{"name": "cpu:0", "uuid": null}, {"name": "gpu:0", "uuid": "GPU-a"},
              {"name": "gpu:1", "uuid": "GPU-b"}],
  "faults": [{"number": 7, "device": "gpu:0", "shared": true, "for_s": 1.5, "culprit": "bad",
              "streams": [{"name": "good", "pid": 3, "error": "other", "present": true},
                          {"name": "bad", "pid": 4, "error": "illegal address", "present": false}]},
             {"of": "another version"}]})");

documents::Status Told(const json& status) { return documents::Read<documents::Status>(status); }

StreamSettings Limits() {
  StreamSettings stream;
  stream.gpu_threads_percent = 12.5;
  stream.gpu_memory_gb = 4;
  return stream;
}

TEST(MpsClient, GetsPipesAndLimitsForEveryGpu) {
  EXPECT_EQ(MpsEnvironment(Told(kStatus), Limits()),
            (Environment{{"CUDA_MPS_PIPE_DIRECTORY", "/run/s.mps/pipe"},
                         {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "12.5"},
                         {"CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", "GPU-a=3814M,GPU-b=3814M"}}));
  EXPECT_EQ(WhyNoLimits(Told(kStatus), Limits()), std::nullopt);
}

TEST(MpsClient, NeedsNothingWhereThereIsNone) {
  const documents::Status off =
      Told(json::parse(R"({"mps": {"mode": "off", "reason": "not asked for"}})"));
  EXPECT_TRUE(MpsEnvironment(off, {}).empty());
  EXPECT_EQ(WhyNoLimits(off, {}), std::nullopt);
  EXPECT_EQ(
      WhyNoLimits(off, Limits()),
      "its limits of GPU threads and memory will not be kept: MPS does not run (not asked for) "
      "(staggerd --mps on)");
  EXPECT_EQ(MpsEnvironment(off, Limits()).at("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"), "0=3814M");
  EXPECT_TRUE(WhyNoLimits(Told(json::object()), Limits())) << "an older daemon";
}

TEST(GpuFaults, AreReadFromTheStatus) {
  const auto faults = FaultsOf(Told(kStatus));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].number, 7u);
  EXPECT_EQ(faults[0].error, "illegal address");
  EXPECT_EQ(faults[0].culprit, "bad");
  EXPECT_EQ(faults[0].age, FromMs(1500));
  EXPECT_TRUE(faults[0].streams[0].present);
  EXPECT_TRUE(FaultsOf({}).empty());
}

}  // namespace
}  // namespace stagger::cli
