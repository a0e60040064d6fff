#include "look/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stagger::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kDriver = "/usr/lib/libcuda.so.1";

ProgramFacts Cuda() {
  ProgramFacts facts;
  facts.pid = 7;
  facts.program = "/opt/camera";
  facts.command = "camera";
  facts.agent = facts.cuda_agent = true;
  facts.libraries = {{kDriver, 1}};
  facts.onnx.emplace();
  facts.cuda.emplace();
  facts.cuda->calls = {{"cuLaunchKernel", cuda::CallKind::kLaunch, 90, true},
                       {"cuMemcpyHtoD_v2", cuda::CallKind::kCopyHtoD, 9, true},
                       {"cuInit", cuda::CallKind::kEntry, 0, false}};
  facts.cuda->passages = {8, 3, 0};
  return facts;
}

ProgramFacts Onnx() {
  ProgramFacts facts;
  facts.program = "/opt/detector";
  facts.agent = true;
  facts.onnx.emplace();
  facts.onnx->runtimes = {{"1.29.0", "/opt/libonnxruntime.so.1", true}};
  facts.onnx->sessions = facts.onnx->cooperative_sessions = 1;
  facts.onnx->run = 20;
  facts.onnx->passages = {18, 2, 0};
  return facts;
}

std::string VerdictOf(const ProgramFacts& facts) { return Diagnose({facts}, true).VerdictLine(); }

TEST(Diagnosis, AllUnderControl) {
  const Diagnosis diagnosis = Diagnose({Cuda(), Onnx()}, true);
  EXPECT_EQ(diagnosis.VerdictLine(), "controlled");
  ASSERT_EQ(diagnosis.programs.size(), 2u);
  const auto& calls = diagnosis.programs[0].calls;
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[0].handled, "controlled");
  EXPECT_EQ(calls[1].handled, "seen");
  EXPECT_EQ(calls[2].handled, "passed through");
  EXPECT_FALSE(calls[2].count) << "nobody counts those";
  EXPECT_THAT(ToText(diagnosis), HasSubstr("ONNX Runtime 1.29.0 (/opt/libonnxruntime.so.1)"));
  EXPECT_EQ(ToJson(diagnosis)["processes"][0]["cuda"]["turns"], 8);
}

TEST(Diagnosis, NothingThatInfers) {
  ProgramFacts shell;
  shell.program = "/bin/sh";
  shell.agent = true;
  shell.onnx.emplace();
  const Diagnosis diagnosis = Diagnose({shell}, false);
  EXPECT_THAT(diagnosis.VerdictLine(), StartsWith("not controlled: no inference was seen"));
  EXPECT_EQ(diagnosis.others, 1);
  EXPECT_THAT(ToText(diagnosis), HasSubstr("no CUDA driver is found here"));
}

TEST(Diagnosis, EveryWayPastControlIsNamed) {
  ProgramFacts twice = Cuda();
  twice.libraries[kDriver] = 2;
  EXPECT_THAT(VerdictOf(twice),
              StartsWith("partly controlled: camera: the CUDA driver is mapped 2"));

  ProgramFacts two_drivers = Cuda();
  two_drivers.libraries["/opt/other/libcuda.so.550"] = 1;
  EXPECT_THAT(VerdictOf(two_drivers), HasSubstr("mapped 2 times"));

  ProgramFacts unknown = Cuda();
  unknown.cuda->unknown = {"cuLaunchFromTheFuture", "cuNameSomething"};
  EXPECT_THAT(VerdictOf(unknown), HasSubstr("does not know: cuLaunchFromTheFuture"));
  EXPECT_THAT(VerdictOf(unknown), Not(HasSubstr("cuNameSomething")));

  ProgramFacts fifth = Onnx();
  fifth.onnx->runtimes.push_back({"1.20.0", "/opt/fifth.so", false});
  EXPECT_THAT(VerdictOf(fifth), HasSubstr("/opt/fifth.so: more runtimes"));

  ProgramFacts wheel = Onnx();
  wheel.libraries["/py/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so"] = 1;
  EXPECT_THAT(VerdictOf(wheel), HasSubstr("linked statically"));

  ProgramFacts inside = Onnx();
  inside.inside = {{"TensorFlow Lite", "/opt/detector"}};
  EXPECT_THAT(VerdictOf(inside), HasSubstr("TensorFlow Lite is linked statically"));

  ProgramFacts torch = Onnx();
  torch.libraries["/py/libtorch_cpu.so"] = 1;
  EXPECT_THAT(VerdictOf(torch), HasSubstr("LibTorch is loaded"));

  ProgramFacts rocm = Onnx();
  rocm.libraries["/opt/rocm/libamdhip64.so.6"] = 1;
  EXPECT_THAT(VerdictOf(rocm), HasSubstr("ROCm driver"));

  ProgramFacts no_cuda_agent = Cuda();
  no_cuda_agent.cuda_agent = false;
  no_cuda_agent.cuda.reset();
  EXPECT_THAT(VerdictOf(no_cuda_agent), StartsWith("not controlled: camera: it has loaded a CUDA"));
}

TEST(Diagnosis, SessionsWithAnAcceleratorAreControlledByTheirCudaCallsOrNotAtAll) {
  ProgramFacts facts = Onnx();
  facts.onnx->accelerated_sessions = 1;
  facts.onnx->accelerated_runs = 20;
  facts.onnx->passages = {};
  EXPECT_THAT(VerdictOf(facts),
              StartsWith("not controlled: detector: 20 inferences of 1 sessions"));
  facts.cuda = Cuda().cuda;
  EXPECT_EQ(VerdictOf(facts), "controlled");
}

TEST(Diagnosis, WhatRunsWithoutTurnsIsNotCalledControlled) {
  ProgramFacts brief = Onnx();
  brief.onnx->passages = {0, 2, 0};
  EXPECT_THAT(VerdictOf(brief), HasSubstr("before its warm-up was over"));
  ProgramFacts alone = Onnx();
  alone.onnx->passages = {0, 2, 18};
  EXPECT_THAT(VerdictOf(alone), HasSubstr("none of its inferences got a turn"));
  ProgramFacts late = Onnx();
  late.onnx->passages = {17, 2, 1};
  EXPECT_EQ(VerdictOf(late), "controlled") << "said in a note";
}

TEST(Diagnosis, AProgramWithoutTheAgentIsToldWithItsReason) {
  ProgramFacts facts;
  facts.program = "/opt/worker";
  facts.libraries = {{kDriver, 1}};
  facts.told_to_preload = false;
  EXPECT_THAT(VerdictOf(facts), HasSubstr("its environment does not name the agent"));
  facts.told_to_preload = true;
  EXPECT_THAT(VerdictOf(facts), HasSubstr("though its environment names it"));
  facts.readable = false;
  EXPECT_THAT(VerdictOf(facts), HasSubstr("cannot be looked into"));
  facts.obstacle = "/opt/worker is setuid";
  EXPECT_EQ(VerdictOf(facts), "not controlled: worker: /opt/worker is setuid");
}

TEST(Diagnosis, AStaticProgramBesideAControlledOneIsANote) {
  ProgramFacts busybox;
  busybox.program = "/bin/busybox";
  busybox.obstacle = "/bin/busybox is statically linked";
  EXPECT_EQ(Diagnose({Onnx(), busybox}, true).VerdictLine(), "controlled");
  EXPECT_EQ(VerdictOf(busybox), "not controlled: busybox: /bin/busybox is statically linked");
}

TEST(Diagnosis, PutsWhatWasWrittenAndWhatWasSeenTogether) {
  ProgramReport report;
  report.pid = 7;
  report.program = "/opt/camera";
  report.onnx.emplace();
  WatchedProgram seen;
  seen.pid = 7;
  seen.program = "/opt/camera";
  seen.libraries = {{kDriver, 2}};
  WatchedProgram other = seen;
  other.pid = 8;
  const auto facts = Together({report}, {seen, other});
  ASSERT_EQ(facts.size(), 2u);
  EXPECT_TRUE(facts[0].agent);
  EXPECT_EQ(facts[0].libraries.at(kDriver), 2);
  EXPECT_FALSE(facts[1].agent);
}

TEST(AddMaps, CountsCopiesOfWhatMatters) {
  WatchedProgram program;
  AddMaps(
      "7f00-7f10 r--p 00000000 08:01 5 /usr/lib/libcuda.so.1\n"
      "7f10-7f20 r-xp 00010000 08:01 5 /usr/lib/libcuda.so.1\n"
      "7f20-7f30 r--p 00000000 08:01 5 /usr/lib/libcuda.so.1\n"
      "7f30-7f40 r-xp 00001000 08:01 6 /lib/libc.so.6\n"
      "7f40-7f50 r--p 00000000 08:01 7 /opt/libstagger-agent.so\n"
      "7f50-7f60 rw-p 00000000 00:00 0 [heap]\n",
      &program);
  EXPECT_EQ(program.libraries.at(kDriver), 2);
  EXPECT_TRUE(program.agent);
  EXPECT_FALSE(program.cuda_agent);
  EXPECT_EQ(program.code.count("/lib/libc.so.6"), 1u);
  EXPECT_EQ(program.libraries.count("/lib/libc.so.6"), 0u);
}

TEST(Diagnosis, ForwardedSessionsAndWhatStays) {
  ProgramFacts facts = Onnx();
  facts.onnx->run = 0;
  facts.onnx->passages = {};
  facts.onnx->forwarding.sessions = 1;
  facts.onnx->forwarding.calls = 40;
  facts.onnx->forwarding.executors = {{"/run/e0", 25}, {"/run/e1", 15}};
  facts.onnx->forwarding.stayed = {{"the session has custom operators", 2, 0},
                                   {"the app calls asynchronously", 0, 7}};
  const Diagnosis diagnosis = Diagnose({facts}, true);
  EXPECT_EQ(diagnosis.VerdictLine(), "controlled");
  const auto& calls = diagnosis.programs[0].calls;
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].handled, "forwarded");
  EXPECT_EQ(calls[0].count, 40u);
  const std::string text = ToText(diagnosis);
  EXPECT_THAT(text, HasSubstr("/run/e0"));
  EXPECT_THAT(text, HasSubstr("nobody: the session has custom operators"));
  EXPECT_THAT(text, Not(HasSubstr("did not infer")));
  const auto json = ToJson(diagnosis)["processes"][0]["forwarding"];
  EXPECT_EQ(json["executors"][1]["inferences"], 15);
  EXPECT_EQ(json["stayed"][1]["calls"], 7);
  EXPECT_TRUE(ToJson(Diagnose({Onnx()}, true))["processes"][0]["forwarding"].is_null());
}

TEST(Diagnosis, ProblemsOfDevicesAreNotTheApps) {
  Diagnosis diagnosis = Diagnose({Cuda()}, true);
  diagnosis.device_problems = {"gpu:0: its compute mode is prohibited"};
  EXPECT_THAT(ToText(diagnosis),
              HasSubstr("\ngpu:0: its compute mode is prohibited\ncontrolled\n"));
  EXPECT_EQ(ToJson(diagnosis)["device_problems"].size(), 1u);
}

}  // namespace
}  // namespace stagger::cli
