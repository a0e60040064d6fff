// devices: auto, for plans.
#include "site/auto_devices.h"

#include <gtest/gtest.h>

namespace stagger::cli {
namespace {

constexpr unsigned kCores[] = {2, 5};

std::vector<device::Gpu> Gpus(const std::string& second) {
  device::Gpu a;
  a.model = "Tesla T4";
  a.memory_bytes = 16'000'000'000;
  device::Gpu b = a;
  b.number = 1;
  b.model = second;
  return {a, b};
}

Site Read(const std::string& apps) {
  Result<Site> site = ParseSite("devices: auto\napps: [" + apps + "]", "s");
  EXPECT_TRUE(site) << site.error().message;
  return std::move(site).value();
}

TEST(AutoDevices, CoresForExecutorsAndGpusForOthers) {
  Site site = Read(
      "{name: a, command: [ls], fps: 4, executor: true}, "
      "{name: b, command: [ls], fps: 4, profile: {body_ms: 5, here: true}}");
  EXPECT_TRUE(AutoNeedsPlan(site));
  ASSERT_TRUE(Declare(kCores, Gpus("Tesla T4"), "", &site));
  std::string found;
  for (const SiteDevice& device : site.declared) found += device.on + " " + device.plan.name + "; ";
  EXPECT_EQ(found, "cpu:2 cpu:2; cpu:5 cpu:5; gpu:0 gpu:0; gpu:1 gpu:1; ");
  EXPECT_EQ(site.declared[0].plan.kind, placement::DeviceKind::kExecutor);
  EXPECT_EQ(site.declared[0].plan.speed, 1);
  EXPECT_EQ(site.declared[0].plan.memory_gb, 0);
  EXPECT_EQ(site.declared[2].plan.kind, placement::DeviceKind::kGpu);
  EXPECT_EQ(site.declared[2].plan.memory_gb, 16);
  EXPECT_EQ(site.devices, "gpu:0,gpu:1");

  site = Read("{name: a, command: [ls], fps: 4, executor: true}");
  ASSERT_TRUE(Declare(kCores, Gpus("Tesla T4"), "", &site));
  EXPECT_EQ(site.declared.size(), 2U) << "no app needs a GPU";
  EXPECT_EQ(site.devices, "cpu");
}

TEST(AutoDevices, SitesWithoutExecutorsOrFiguresRunAsEver) {
  EXPECT_FALSE(AutoNeedsPlan(Read("{name: a, command: [ls], fps: 4}")));
  EXPECT_FALSE(AutoNeedsPlan(Read("{name: a, command: [ls], profile: {body_ms: 5}}")));
  EXPECT_TRUE(AutoNeedsPlan(Read("{name: a, command: [ls], profile: {body_ms: 5, here: true}}")));
}

std::string Why(Site site, const std::vector<device::Gpu>& gpus) {
  const Result<void> declared = Declare(kCores, gpus, "no driver", &site);
  EXPECT_TRUE(site.declared.empty());
  return declared ? "" : declared.error().message;
}

TEST(AutoDevices, WhatNobodyKnowsIsAnError) {
  EXPECT_NE(
      Why(Read("{name: a, command: [ls], fps: 4, executor: true, profile: {body_ms: 5}}"), {})
          .find("a has a profile, and nobody knows how fast this machine is beside the device "
                "it was taken on; expected 'here: true'"),
      std::string::npos);
  EXPECT_EQ(Why(Read("{name: b, command: [ls], fps: 4}"), {}),
            "devices: auto: b needs a GPU, and there is none: no driver; expected 'executor: true' "
            "for apps that run on the CPU");
  EXPECT_NE(Why(Read("{name: b, command: [ls], fps: 4}"), Gpus("A100"))
                .find("gpu:0 is a Tesla T4 and gpu:1 is a A100, whose speeds nobody knows"),
            std::string::npos);
}

}  // namespace
}  // namespace stagger::cli
