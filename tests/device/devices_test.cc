#include "device/devices.h"

#include <gtest/gtest.h>

namespace stagger::device {
namespace {

const std::vector<Gpu> kTwo{{0, "A", {1}, 1}, {1, "B", {2}, 2}};

std::vector<std::string> Names(const Devices& devices) {
  std::vector<std::string> names;
  for (const Device& device : devices.all) names.push_back(device.spec.name);
  return names;
}

Result<Devices> ChooseFrom(const std::string& choice, const std::vector<Gpu>& found) {
  return Choose(device::ParseDeviceChoice(choice).value(), {3, 4}, found, "no driver", 2);
}

using StringList = std::vector<std::string>;

TEST(Devices, TheCpuComesFirstAndThenEveryGpu) {
  const auto devices = ChooseFrom("auto", kTwo);
  ASSERT_TRUE(devices);
  EXPECT_EQ(Names(*devices), (StringList{"cpu:0", "gpu:0", "gpu:1"}));
  EXPECT_EQ(devices->all[0].spec.cores, (std::vector<std::uint16_t>{3, 4}));
  EXPECT_FALSE(devices->all[0].gpu);
  EXPECT_TRUE(devices->all[1].spec.cores.empty()) << "a GPU takes one body at a time";
  EXPECT_EQ(devices->all[2].gpu->model, "B");
}

TEST(Devices, WithoutGpusThereIsTheCpu) {
  EXPECT_EQ(Names(*ChooseFrom("auto", {})), StringList{"cpu:0"});
  EXPECT_EQ(Names(*ChooseFrom("cpu", kTwo)), StringList{"cpu:0"});
}

TEST(Devices, GpusAreChosenByNumberInTheOrderGiven) {
  EXPECT_EQ(Names(*ChooseFrom("gpu:1", kTwo)), (StringList{"cpu:0", "gpu:1"}));
  EXPECT_EQ(Names(*ChooseFrom("gpu:1,cpu:0,gpu:0", kTwo)), (StringList{"cpu:0", "gpu:1", "gpu:0"}));
}

TEST(Devices, AChosenGpuMustBeThere) {
  EXPECT_EQ(ChooseFrom("gpu:7", kTwo).error().message,
            "devices: gpu:7 is not on this machine; it has gpu:0, gpu:1");
  EXPECT_EQ(ChooseFrom("gpu:0", {}).error().message,
            "devices: gpu:0 is not on this machine; it has no GPU (no driver)");
}

TEST(Devices, NoMoreThanTheMostAreTaken) {
  auto three = kTwo;
  three.push_back({2, "C", {3}, 3});
  const auto devices = ChooseFrom("auto", three);
  EXPECT_EQ(devices->all.size(), 3U);
  ASSERT_EQ(devices->left_out.size(), 1U);
  EXPECT_EQ(devices->left_out[0].model, "C");
  EXPECT_EQ(ChooseFrom("gpu:0,gpu:1,gpu:2", three).error().message,
            "devices: 3 GPUs are named; expected 2 at most");
}

TEST(GpuUuid, IsReadAsTheDriverWritesIt) {
  const std::string text = "GPU-00010203-0405-0607-0809-0a0b0c0d0eff";
  const auto uuid = ParseGpuUuid(text);
  ASSERT_TRUE(uuid);
  EXPECT_EQ((*uuid)[1], 1);
  EXPECT_EQ((*uuid)[15], 0xff);
  EXPECT_EQ(GpuUuidText(*uuid), text);
  for (const char* bad :
       {"", "GPU-", "MIG-00010203-0405-0607-0809-0a0b0c0d0eff",
        "GPU-00010203-0405-0607-0809-0a0b0c0d0e", "GPU-00010203-0405-0607-0809-0a0b0c0d0eff00",
        "GPU-0001020g-0405-0607-0809-0a0b0c0d0eff"}) {
    EXPECT_FALSE(ParseGpuUuid(bad)) << bad;
  }
}

TEST(DeviceChoice, Reads) {
  EXPECT_TRUE(device::ParseDeviceChoice("auto")->every_gpu);
  const device::DeviceChoice none{.every_gpu = false, .gpus = {}};
  EXPECT_EQ(*device::ParseDeviceChoice("cpu"), none);
  EXPECT_EQ(*device::ParseDeviceChoice("cpu:0"), none);
  const device::DeviceChoice two{.every_gpu = false, .gpus = {0, 12}};
  EXPECT_EQ(*device::ParseDeviceChoice("cpu, gpu:0 ,gpu:12"), two);
}

TEST(DeviceChoice, RefusesNamingTheValueAndWhatIsExpected) {
  for (const char* bad : {"", ",", "gpu", "gpu:", "gpu:0,", "gpu:x", "gpu:-1", "gpu:256", "gpu:1a",
                          "cpu:1", "auto,gpu:0", "GPU:0"}) {
    const auto choice = device::ParseDeviceChoice(bad);
    ASSERT_FALSE(choice) << bad;
    EXPECT_EQ(choice.error().message,
              "devices '" + std::string(bad) +
                  "': expected auto, cpu, or GPUs by number, as in gpu:0,gpu:1");
  }
  EXPECT_EQ(device::ParseDeviceChoice("gpu:0,gpu:00").error().message,
            "devices 'gpu:0,gpu:00': gpu:00 is named twice; expected each device once");
  EXPECT_FALSE(device::ParseDeviceChoice("cpu,cpu:0"));
}

}  // namespace
}  // namespace stagger::device
