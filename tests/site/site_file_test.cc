#include "site/site_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/policies.h"

namespace stagger::cli {
namespace {

std::string Complaint(const std::string& text) {
  const Result<Site> site = ParseSite(text, "site.yaml");
  return site ? "accepted" : site.error().message;
}

TEST(SiteFile, ReadsEverything) {
  const Result<Site> site = ParseSite(R"(
policy: fifo
concurrency: 2
devices: auto
apps:
  - name: gate
    command: [camera-detector, --offset, "{n}0", "copy-{n}-of-{n}"]
    fps: 10
    deadline_ms: 100
    weight: 2
    copies: 2
    env: {MODE: day}
  - name: yard
    command: [yard]
)",
                                      "/etc/sites/site.yaml");
  ASSERT_TRUE(site) << site.error().message;
  EXPECT_EQ(site->folder, "/etc/sites");
  EXPECT_EQ(site->policy, "fifo");
  EXPECT_EQ(site->concurrency, "2");
  EXPECT_EQ(site->devices, "auto");
  ASSERT_EQ(site->apps.size(), 3u);
  EXPECT_EQ(site->apps[0].stream.name, "gate-1");
  EXPECT_EQ(site->apps[1].stream.name, "gate-2");
  EXPECT_EQ(site->apps[1].command,
            (std::vector<std::string>{"camera-detector", "--offset", "20", "copy-2-of-2"}));
  EXPECT_EQ(site->apps[1].stream.fps, 10);
  EXPECT_EQ(site->apps[1].stream.deadline_ms, 100);
  EXPECT_EQ(site->apps[1].stream.weight, 2);
  EXPECT_EQ(site->apps[1].environment.at("MODE"), "day");
  EXPECT_EQ(site->apps[2].stream.name, "yard");
  EXPECT_FALSE(site->apps[2].stream.fps);
}

TEST(SiteFile, DevicesCanBeChosen) {
  const Result<Site> site =
      ParseSite("devices: [gpu:0, gpu:2]\napps: [{name: a, command: [ls]}]", "s");
  ASSERT_TRUE(site) << site.error().message;
  EXPECT_EQ(site->devices, "gpu:0,gpu:2");
}

TEST(SiteFile, MpsAndWhatAnAppMayUse) {
  const Result<Site> site = ParseSite(
      "mps: on\napps: [{name: a, command: [ls], gpu_threads_percent: 25, gpu_memory_gb: 1.5}]",
      "s");
  ASSERT_TRUE(site) << site.error().message;
  EXPECT_EQ(site->mps, "on");
  EXPECT_EQ(site->apps[0].stream.gpu_threads_percent, 25);
  EXPECT_EQ(site->apps[0].stream.gpu_memory_gb, 1.5);
  for (const auto& [text, expected] :
       {std::pair{"mps: yes\napps: [{name: a, command: [ls]}]", "mps: yes is unknown; expected"},
        {"on_move: stop\napps: [{name: a, command: [ls]}]",
         "on_move: stop is unknown; expected restart"},
        {"apps: [{name: a, command: [ls], gpu_threads_percent: 0}]",
         "apps[0].gpu_threads_percent: 0; expected a number from 1 to 100"},
        {"apps: [{name: a, command: [ls], gpu_threads_percent: 101}]",
         "gpu_threads_percent: 101; expected"},
        {"apps: [{name: a, command: [ls], gpu_memory_gb: -1}]",
         "gpu_memory_gb: -1; expected a number from 0.01"}}) {
    const Result<Site> bad = ParseSite(text, "s");
    ASSERT_FALSE(bad) << text;
    EXPECT_NE(bad.error().message.find(expected), std::string::npos) << bad.error().message;
  }
}

TEST(SiteFile, CoresCanBeDevices) {
  const Result<Site> site = ParseSite(
      "devices: [cpu:0, cpu:1]\n"
      "apps: [{name: a, command: [ls], executor: true, pipeline: 2}, {name: b, command: [ls]}]",
      "s");
  ASSERT_TRUE(site) << site.error().message;
  EXPECT_EQ(site->cores, (std::vector<std::string>{"cpu:0", "cpu:1"}));
  EXPECT_EQ(site->devices, "cpu");
  EXPECT_TRUE(site->apps[0].executor);
  EXPECT_EQ(site->apps[0].stream.pipeline, 2);
  EXPECT_FALSE(site->apps[1].executor);
  const Result<Site> whole = ParseSite("devices: [cpu:0]\napps: [{name: a, command: [ls]}]", "s");
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->devices, "cpu") << "alone it is all cores, taken as one";
  EXPECT_TRUE(whole->cores.empty());
}

TEST(SiteFile, ExecutorsNeedCoresAndPipelinesNeedExecutors) {
  const std::string cores = "devices: [cpu:0, cpu:1]\n";
  EXPECT_EQ(Complaint(cores + "apps: [{name: a, command: [ls]}]"),
            "site.yaml:1:10: devices: names CPU cores, but no app has 'executor: true'");
  EXPECT_EQ(
      Complaint("apps: [{name: a, command: [ls], executor: true}]"),
      "site.yaml:1:43: apps[0].executor: needs cores to run on, as in devices: [cpu:0, cpu:1], or "
      "{name: a, on: cpu:0, ...}, or a GPU that has one: {name: g, on: gpu:0, executor: true, "
      "...}");
  EXPECT_EQ(Complaint(cores + "apps: [{name: a, command: [ls], executor: maybe}]"),
            "site.yaml:2:43: apps[0].executor: maybe is neither true nor false");
  EXPECT_EQ(Complaint(cores + "apps: [{name: a, command: [ls], pipeline: 1}]"),
            "site.yaml:2:43: apps[0].pipeline: only beside 'executor: true', which has other "
            "processes run the frames");
  EXPECT_EQ(Complaint("devices: [cpu:1, cpu:1]\napps: [{name: a, command: [ls]}]"),
            "site.yaml:1:18: devices: cpu:1 is named twice; expected each core once");
}

TEST(SiteFile, ExcessSaysWhatHappensToCallsBeyondTheRate) {
  const Result<Site> site = ParseSite(
      "apps: [{name: a, command: [ls], fps: 4, excess: reuse}, {name: b, command: [ls]}]", "s");
  ASSERT_TRUE(site) << site.error().message;
  EXPECT_EQ(site->apps[0].stream.excess, Excess::kReuse);
  EXPECT_EQ(AppEnvironment("", "s", site->apps[0].stream).at("STAGGER_EXCESS"), "reuse");
  EXPECT_EQ(AppEnvironment("", "s", site->apps[1].stream).count("STAGGER_EXCESS"), 0U);
  EXPECT_EQ(Complaint("apps: [{name: a, command: [ls], fps: 4, excess: drop}]"),
            "site.yaml:1:49: apps[0].excess: drop; expected 'pace', 'reuse' or 'pass'");
  EXPECT_EQ(Complaint("apps: [{name: a, command: [ls], excess: pace}]"),
            "site.yaml:1:41: apps[0].excess: pace: only beside a rate (fps) that calls can be "
            "beyond");
  EXPECT_EQ(Complaint("devices: [cpu:0, cpu:1]\napps: [{name: a, command: [ls], fps: 4, executor: "
                      "true, pipeline: 1, excess: reuse}]"),
            "site.yaml:2:78: apps[0].excess: reuse: not beside a pipeline, whose results come late "
            "as it is");
}

TEST(SiteFile, ConcurrencyCanBeFound) {
  const Result<Site> site = ParseSite("concurrency: auto\napps: [{name: a, command: [ls]}]", "s");
  ASSERT_TRUE(site) << site.error().message;
  EXPECT_EQ(site->concurrency, "auto");
  EXPECT_TRUE(site->policy.empty());
}

TEST(SiteFile, DemandsCanBeLimited) {
  const Result<Site> site = ParseSite("demand_limit: 1.2\napps: [{name: a, command: [ls]}]", "s");
  ASSERT_TRUE(site) << site.error().message;
  EXPECT_EQ(site->demand_limit, 1.2);
  EXPECT_FALSE(
      ParseSite("concurrency: auto\ndemand_limit: 2\napps: [{name: a, command: [ls]}]", "s"));
}

TEST(SiteFile, OneCopyIsNumberedToo) {
  const Result<Site> site = ParseSite("apps: [{name: a, command: [ls], copies: 1}]", "s");
  ASSERT_TRUE(site);
  EXPECT_EQ(site->apps[0].stream.name, "a-1");
}

struct Wrong {
  const char* text;
  const char* complaint;
};

class SiteFileErrors : public testing::TestWithParam<Wrong> {};

TEST_P(SiteFileErrors, SayWhereAndWhatIsExpected) {
  const std::string complaint = Complaint(GetParam().text);
  EXPECT_EQ(complaint, GetParam().complaint);
  EXPECT_EQ(complaint.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    All, SiteFileErrors,
    testing::Values(
        Wrong{"", "site.yaml: empty; expected a map with 'apps'"},
        Wrong{"just text", "site.yaml:1:1: a site file is a map with 'apps'"},
        Wrong{"apps: [\n", "site.yaml:2:1: end of sequence flow not found"},
        Wrong{"policy: fifo\n", "site.yaml:1:1: apps: missing; expected a list of apps"},
        Wrong{"apps: []\n", "site.yaml:1:7: apps: expected a list with at least one app"},
        Wrong{"apps: 3\n", "site.yaml:1:7: apps: expected a list with at least one app"},
        Wrong{"colour: red\napps: []\n",
              "site.yaml:1:1: unknown field 'colour'; known: policy, concurrency, demand_limit, "
              "devices, mps, on_move, apps"},
        Wrong{
            "policy: serial\napps: []\n",
            "site.yaml:1:9: policy: serial is for simulations only, since an app's turn ends with "
            "its body; use fifo with concurrency 1"},
        Wrong{"concurrency: many\n",
              "site.yaml:1:14: concurrency: many is not a limit; expected 'auto' or a whole number "
              "from 1 "
              "to 1024"},
        Wrong{"concurrency: 0\n",
              "site.yaml:1:14: concurrency: 0 is not a limit; expected 'auto' or a whole number "
              "from 1 to "
              "1024"},
        Wrong{"devices: [gpu:0]\n", "site.yaml:1:1: apps: missing; expected a list of apps"},
        Wrong{"devices: [gpu:0, tpu:1]\n",
              "site.yaml:1:10: devices 'gpu:0,tpu:1': expected auto, cpu, or GPUs by number, as in "
              "gpu:0,gpu:1"},
        Wrong{"devices: [gpu:1, gpu:1]\n",
              "site.yaml:1:10: devices 'gpu:1,gpu:1': gpu:1 is named twice; expected each device "
              "once"},
        Wrong{"devices: [[gpu:1]]\n",
              "site.yaml:1:10: devices: expected 'auto', or a list as in [gpu:0, gpu:1] or [cpu:0, "
              "cpu:1]"},
        Wrong{"devices: {gpu: 1}\n",
              "site.yaml:1:10: devices: expected 'auto', or a list as in [gpu:0, gpu:1] or [cpu:0, "
              "cpu:1]"},
        Wrong{"apps:\n  - ls\n", "site.yaml:2:5: apps[0]: expected a map with name and command"},
        Wrong{"apps:\n  - command: [ls]\n", "site.yaml:2:5: apps[0]: no name; every app needs one"},
        Wrong{"apps:\n  - name: [a]\n    command: [ls]\n",
              "site.yaml:2:11: apps[0].name: a list is not a name"},
        Wrong{"apps:\n  - name: a\n",
              "site.yaml:2:5: apps[0]: no command; expected e.g. command: [camera-detector, --fps, "
              "\"10\"]"},
        Wrong{"apps:\n  - name: a\n    command: ls -l\n",
              "site.yaml:3:14: apps[0].command: a plain text; expected a list, one word each, "
              "since no "
              "shell takes it apart: [program, argument, ...]"},
        Wrong{"apps:\n  - name: a\n    command: []\n",
              "site.yaml:3:14: apps[0].command: expected a list: [program, argument, ...]"},
        Wrong{"apps:\n  - name: a\n    command: [ls, [x]]\n",
              "site.yaml:3:19: apps[0].command[1]: a list is not a word"},
        Wrong{
            "apps:\n  - name: a\n    command: [ls]\n  - name: b\n    command: [ls]\n    fps: -3\n",
            "site.yaml:6:10: apps[1].fps: -3 is not a rate; expected a number > 0"},
        Wrong{"apps:\n  - name: a\n    command: [ls]\n    fps: 0\n",
              "site.yaml:4:10: apps[0].fps: 0 is not a rate; expected a number > 0"},
        Wrong{"apps:\n  - name: a\n    command: [ls]\n    fps: .inf\n",
              "site.yaml:4:10: apps[0].fps: .inf is not a rate; expected a number > 0"},
        Wrong{"apps:\n  - name: a\n    command: [ls]\n    deadline_ms: soon\n",
              "site.yaml:4:18: apps[0].deadline_ms: soon is not a time; expected a number > 0"},
        Wrong{"apps:\n  - name: a\n    command: [ls]\n    weight: {}\n",
              "site.yaml:4:13: apps[0].weight: a map is not a weight; expected a number > 0"},
        Wrong{"apps:\n  - name: a\n    command: [ls]\n    copies: 2.5\n",
              "site.yaml:4:13: apps[0].copies: 2.5 is not a count; expected a whole number from 1 "
              "to 100000"},
        Wrong{
            "apps:\n  - name: a\n    command: [ls]\n    fsp: 3\n",
            "site.yaml:4:5: apps[0]: unknown field 'fsp'; known: name, command, fps, "
            "deadline_ms, weight, min_fps, "
            "copies, env, gpu_threads_percent, gpu_memory_gb, profile, executor, pipeline, excess"},
        Wrong{"apps:\n  - name: a\n    command: [ls]\n    env: [A]\n",
              "site.yaml:4:10: apps[0].env: expected a map of names to texts"},
        Wrong{"apps:\n  - name: a\n    command: [ls]\n    env: {A: [1]}\n",
              "site.yaml:4:14: apps[0].env.A: expected a text"},
        Wrong{"apps:\n  - name: a\n    command: [ls]\n  - name: a\n    command: [ls]\n",
              "site.yaml:4:11: apps[1].name: 'a' is already the app of line 2; names must differ"},
        Wrong{"apps:\n  - {name: a-1, command: [ls]}\n  - {name: a, command: [ls], copies: 2}\n",
              "site.yaml:3:12: apps[1].name: 'a-1' is already the app of line 2; names must "
              "differ"}));

TEST(SiteFile, AnUnknownPolicyIsToldTheKnownOnes) {
  const std::string known = "known: " + core::PolicyNames(core::TurnsOf::kApps);
  EXPECT_EQ(Complaint("policy: best\napps: []\n"),
            "site.yaml:1:9: policy: best is not a policy; " + known);
  EXPECT_EQ(Complaint("policy: [fifo]\napps: []\n"),
            "site.yaml:1:9: policy: a list is not a policy; " + known);
}

TEST(SiteFile, DevicesSayWhatTheyAreOn) {
  const std::string apps = "\napps: [{name: x, command: [ls]}]";
  const auto site = ParseSite(
      "devices: [{name: a, on: cpu:0}, {name: b, on: cpu:1, share: 0.25}, {name: g, on: gpu:1, "
      "speed: 9}]" +
          apps,
      "site.yaml");
  ASSERT_TRUE(site) << site.error().message;
  ASSERT_EQ(site->declared.size(), 3U);
  EXPECT_EQ(site->declared[0].plan.speed, 1);
  EXPECT_EQ(site->declared[0].plan.kind, placement::DeviceKind::kExecutor);
  EXPECT_EQ(site->declared[1].plan.speed, 0.25) << "its share of the core";
  EXPECT_EQ(site->declared[2].plan.kind, placement::DeviceKind::kGpu);
  EXPECT_EQ(site->devices, "gpu:1") << "what the daemon shares out";

  const auto said = [&](const std::string& devices) {
    return Complaint("devices: " + devices + apps);
  };
  EXPECT_THAT(
      said("[{name: a, on: cpu:0, share: 0.6}, {name: b, on: cpu:0, share: 0.5}]"),
      testing::HasSubstr("1.1 of cpu:0 is given away; expected shares of at most 1 in all"));
  EXPECT_THAT(said("[{name: a, on: gpu:0}, {name: b, on: gpu:0}]"),
              testing::HasSubstr("b is on gpu:0, as another is; expected each once"));
  EXPECT_THAT(said("[{name: a, on: cpu}, {name: b, on: cpu:0}]"),
              testing::HasSubstr("one is on cpu, which is all cores, and another on one of them"));
  EXPECT_THAT(said("[{name: a, on: cpu:0}, {name: b}]"),
              testing::HasSubstr("a says what it is on and b does not; expected all or none to"));
  EXPECT_THAT(said("[{name: a, on: gpu:0, share: 0.5}]"),
              testing::HasSubstr("devices[0].share: only beside one core"));
  EXPECT_THAT(said("[{name: a, on: cpu:0, count: 2}]"),
              testing::HasSubstr("devices[0].count: not beside 'on'"));
}

TEST(SiteFile, AGpuHasAnExecutorWhereItSaysSo) {
  const std::string apps = "\napps: [{name: x, command: [ls], executor: true}]";
  const auto site = ParseSite(
      "devices: [{name: g, on: gpu:0, executor: true, speed: 9}, {name: h, on: gpu:1, executor: "
      "false}, {name: a, on: cpu:0}]" +
          apps,
      "site.yaml");
  ASSERT_TRUE(site) << site.error().message;
  EXPECT_EQ(site->declared[0].plan.kind, placement::DeviceKind::kAny);
  EXPECT_EQ(site->declared[1].plan.kind, placement::DeviceKind::kGpu);
  EXPECT_TRUE(site->declared[0].has_executor());
  EXPECT_FALSE(site->declared[1].has_executor());
  EXPECT_TRUE(site->declared[2].has_executor());
  EXPECT_EQ(site->devices, "gpu:0,gpu:1") << "what the daemon shares out";
  const auto plain = ParseSite("devices: [{name: a}]\napps: [{name: x, command: [ls]}]", "s");
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->declared[0].has_executor()) << "it is for plans only";

  const auto said = [&](const std::string& devices) {
    return Complaint("devices: " + devices + apps);
  };
  EXPECT_THAT(said("[{name: a, on: cpu:0, executor: true}]"),
              testing::HasSubstr("devices[0].executor: only beside a GPU, as in on: gpu:0"));
  EXPECT_THAT(said("[{name: a, executor: true}]"),
              testing::HasSubstr("devices[0].executor: only beside a GPU, as in on: gpu:0"));
  EXPECT_THAT(said("[{name: a, on: gpu:0, executor: 1}]"),
              testing::HasSubstr("devices[0].executor: 1 is neither true nor false"));
  EXPECT_THAT(said("[{name: a, on: gpu:0}]"),
              testing::HasSubstr("apps[0].executor: needs cores to run on, as in devices: [cpu:0, "
                                 "cpu:1], or {name: a, on: cpu:0, ...}, or a GPU that has one: "
                                 "{name: g, on: gpu:0, executor: true, ...}"));
}

TEST(SiteFile, NamesFitTheWire) {
  const std::string name(70, 'x');
  EXPECT_EQ(Complaint("apps: [{name: " + name + ", command: [ls]}]"),
            "site.yaml:1:15: apps[0].name: the name is 70 bytes long; the limit is 64");
}

TEST(SiteFile, MissingFile) {
  EXPECT_EQ(ReadSite("/nonexistent/site.yaml").error().message,
            "cannot read /nonexistent/site.yaml: No such file or directory");
  EXPECT_EQ(ReadSite("/tmp").error().message, "/tmp is a folder; expected a site file");
}

}  // namespace
}  // namespace stagger::cli
