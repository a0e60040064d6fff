#include "daemon/options.h"

#include <gtest/gtest.h>

#include <fstream>

#include "daemon/daemon_process.h"

namespace stagger::daemon {
namespace {

Result<ParsedOptions> Parse(std::vector<std::string> args) {
  args.insert(args.begin(), "staggerd");
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  return ParseOptions(static_cast<int>(args.size()), argv.data());
}

TEST(Options, HaveDefaults) {
  const auto parsed = Parse({});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->options.policy.name, "fifo");
  EXPECT_EQ(parsed->options.policy.concurrency, 0);
  EXPECT_EQ(parsed->options.http_address.ToString(), "127.0.0.1:7878");
  EXPECT_FALSE(parsed->options.http_chosen);
}

TEST(Options, TheCommandLineWinsOverTheFile) {
  const daemon_test::TempDir dir;
  std::ofstream(dir.File("c.yaml")) << "concurrency: 3\nlease_floor_ms: 90\nhttp: \"off\"\n";
  const auto parsed = Parse({"--config", dir.File("c.yaml"), "--concurrency", "5"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->options.policy.concurrency, 5);
  EXPECT_EQ(parsed->options.lease_floor, FromMs(90));
  EXPECT_FALSE(parsed->options.http);
}

TEST(Options, MpsIsAskedForByWord) {
  EXPECT_EQ(Parse({})->options.mps, MpsMode::kOff);
  EXPECT_EQ(Parse({"--mps", "auto"})->options.mps, MpsMode::kAuto);
  Options options;
  ASSERT_TRUE(ApplyConfigText("c", "mps: on", &options));
  EXPECT_EQ(options.mps, MpsMode::kOn);
  const auto bad = Parse({"--mps", "maybe"});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "mps 'maybe': auto, on or off is expected");
}

TEST(Options, FileErrorsNameTheLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"policy: fifo\ncolour: red\n", "f:2: unknown key 'colour'"},
      {"policy: fifo\npolicy: off\n", "f:2: 'policy' is given twice"},
      {"\n\nconcurrency: [1]\n", "f:3: 'concurrency' needs one value"},
      {"concurrency: -1\n", "f:1: concurrency '-1'"},
      {"- a\n", "f:1: 'key: value' lines"},
      {"policy: fifo\nhttp: [a\n", "f:"}};
  for (const auto& [yaml, expected] : cases) {
    Options options;
    const auto applied = ApplyConfigText("f", yaml, &options);
    ASSERT_FALSE(applied) << yaml;
    EXPECT_EQ(applied.error().message.rfind(expected, 0), 0U) << applied.error().message;
    EXPECT_EQ(applied.error().message.find('\n'), std::string::npos);
  }
  Options options;
  EXPECT_TRUE(ApplyConfigText("f", "", &options));
  EXPECT_TRUE(ApplyConfigText("f", "http: off\n", &options));
  EXPECT_FALSE(options.http);
}

TEST(Options, DevicesAreAListOrAuto) {
  EXPECT_TRUE(Parse({})->options.devices.every_gpu);
  EXPECT_EQ(Parse({"--devices", "gpu:0,gpu:3"})->options.devices.gpus,
            (std::vector<unsigned>{0, 3}));
  for (const char* yaml : {"devices: [gpu:0, gpu:3]\n", "devices: gpu:0,gpu:3\n"}) {
    Options options;
    ASSERT_TRUE(ApplyConfigText("f", yaml, &options)) << yaml;
    EXPECT_EQ(options.devices.gpus, (std::vector<unsigned>{0, 3}));
  }
  EXPECT_EQ(Parse({"--devices", "all"}).error().message,
            "devices 'all': expected auto, cpu, or GPUs by number, as in gpu:0,gpu:1");
  Options options;
  EXPECT_EQ(ApplyConfigText("f", "policy: fifo\ndevices: [gpu:a]\n", &options).error().message,
            "f:2: devices 'gpu:a': expected auto, cpu, or GPUs by number, as in gpu:0,gpu:1");
  EXPECT_EQ(ApplyConfigText("f", "devices: {gpu: 0}\n", &options).error().message,
            "f:1: 'devices' needs one value, or a list");
}

TEST(Options, HttpAddresses) {
  EXPECT_EQ(ParseHttpAddress("8080")->ToString(), "127.0.0.1:8080");
  EXPECT_EQ(ParseHttpAddress("0.0.0.0:1")->ToString(), "0.0.0.0:1");
  EXPECT_EQ(ParseHttpAddress("[::1]:80")->ToString(), "[::1]:80");
  EXPECT_TRUE(ParseHttpAddress("[::1]:80")->loopback());
  EXPECT_FALSE(ParseHttpAddress("0.0.0.0:1")->loopback());
  for (const char* bad : {"", ":80", "::1:80", "a:b", "1.2.3.4:70000", "80x", "a:-1"}) {
    EXPECT_FALSE(ParseHttpAddress(bad)) << bad;
  }
}

}  // namespace
}  // namespace stagger::daemon
