#include <gtest/gtest.h>

#include "lab/vgpu/declared_devices.h"

namespace stagger::cli {
namespace {

std::string ErrorOf(const std::string& text) {
  const auto model = ParseModel(text, "m.yaml");
  return model ? "none" : model.error().message;
}

TEST(VgpuModelFile, ReadsAllOfIt) {
  const auto model = ParseModel(
      "name: Small GPU\nmemory: 4GiB\nsigma: 0.2\nw: 0.3\ng: 0.1\npcie_gbps: 6\nlocal_gbps: 100\n"
      "copy_latency_us: 5\nslice_ms: 1\nkernels:\n"
      "  - {name: conv, cost: 650us, demand: 0.5}\n  - {name: nms, cost: 5ms, class: post}\n",
      "m.yaml");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->name, "Small GPU");
  EXPECT_EQ(model->memory_bytes, 4ull << 30);
  EXPECT_EQ(model->contention.sigma, 0.2);
  EXPECT_EQ(model->contention.w, 0.3);
  EXPECT_EQ(model->contention.g, 0.1);
  EXPECT_EQ(model->pcie_gbps, 6);
  EXPECT_EQ(model->local_gbps, 100);
  EXPECT_EQ(model->copy_latency, std::chrono::microseconds{5});
  EXPECT_EQ(model->slice, std::chrono::milliseconds{1});
  EXPECT_EQ(model->kernels.at("conv").cost, std::chrono::microseconds{650});
  EXPECT_EQ(model->kernels.at("conv").demand, 0.5);
  EXPECT_FALSE(model->kernels.at("conv").post);
  EXPECT_TRUE(model->kernels.at("nms").post);
}

TEST(VgpuModelFile, SaysWhatIsWrongAndWhere) {
  const std::string good = "name: g\nmemory: 1G\n";
  const auto has = [](const std::string& text, const std::string& what) {
    EXPECT_NE(ErrorOf(text).find(what), std::string::npos) << ErrorOf(text);
  };
  EXPECT_EQ(ErrorOf(good), "none");
  has("memory: 1G\n", "name: missing");
  has("name: g\n", "memory: expected a size");
  has("name: g\nmemory: lots\n", "memory: expected a size");
  has(good + "sigma: -1\n", "sigma");
  has(good + "speed: 2\n", "speed");
  has(good + "kernels: 5\n", "kernels: expected a list");
  has(good + "kernels: [{name: a}]\n", "kernels[0].cost: missing; expected a time");
  has(good + "kernels: [{name: a, cost: 5}]\n", "kernels[0].cost");
  has(good + "kernels: [{name: a, cost: 5ms, demand: 2}]\n", "kernels[0].demand");
  has(good + "kernels: [{name: a, cost: 5ms, class: c}]\n", "kernels[0].class");
  has(good + "kernels: [{name: a, cost: 1ms}, {name: a, cost: 1ms}]\n", "'a' twice");
}

}  // namespace
}  // namespace stagger::cli
