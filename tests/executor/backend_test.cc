// Which devices there are names for, and which runtimes and devices backends take.
#include "executor/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>

#include "executor/options.h"

namespace stagger::executor {
namespace {

using testing::HasSubstr;

RuntimeFile FileAt(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return {path, info.st_dev, info.st_ino};
}

TEST(Device, Names) {
  const auto all = ParseDevice("cpu");
  ASSERT_TRUE(all);
  EXPECT_FALSE(all->gpu);
  const auto gpu = ParseDevice("gpu:3");
  ASSERT_TRUE(gpu);
  EXPECT_EQ(gpu->gpu, 3U);
  EXPECT_EQ(gpu->cores, all->cores) << "for what has to be done beside it";
  for (const char* wrong :
       {"gpu", "gpu:", "gpu:x", "gpu:0,gpu:1", "gpu:-1", "cpu,gpu:0", "auto", "tpu:0"}) {
    const auto parsed = ParseDevice(wrong);
    ASSERT_FALSE(parsed) << wrong;
    EXPECT_THAT(parsed.error().message,
                HasSubstr("expected cpu, one core as in cpu:1, or one GPU"));
  }
}

TEST(Backends, TakeRuntimesOfTheirFramework) {
  const auto backends = MakeBackends({.name = "cpu"});
  ASSERT_EQ(backends.size(), 1U);
  Backend& ort = *backends.front();
  const RuntimeFile runtime = FileAt(REAL_RUNTIME);
  const auto version = ort.Open(runtime);
  ASSERT_TRUE(version) << version.error().message;
  EXPECT_THAT(*version, testing::StartsWith("1."));
  RuntimeFile other = runtime;
  ++other.inode;
  EXPECT_THAT(ort.Open(other).error().message, HasSubstr("is another file here"));
  const auto none = ort.Open(FileAt("/lib/x86_64-linux-gnu/libm.so.6"));
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("libm.so.6 is not an ONNX Runtime"));
}

TEST(Backends, NoModelWithoutWhatItIsToRunOn) {
  // y = x
  static constexpr char kModel[] =
      "\x08\x08\x3a\x2b\x0a\x10\x0a\x01x\x12\x01y\"\x08Identity\x12\x01g"
      "Z\x09\x0a\x01x\x12\x04\x0a\x02\x08\x01"
      "b\x09\x0a\x01y\x12\x04\x0a\x02\x08\x01"
      "B\x04\x0a\x00\x10\x0d";
  const ModelSource source{std::as_bytes(std::span(kModel, sizeof kModel - 1)), ""};
  const RuntimeFile runtime = FileAt(REAL_RUNTIME);
  const auto on_cpu = MakeBackends({.name = "cpu"});
  ASSERT_TRUE(on_cpu.front()->Open(runtime));
  const auto loaded = on_cpu.front()->Load(runtime, source);
  EXPECT_TRUE(loaded) << loaded.error().message;
  const auto on_gpu = MakeBackends({.name = "gpu:0", .gpu = 0});
  ASSERT_TRUE(on_gpu.front()->Open(runtime));
  const auto refused = on_gpu.front()->Load(runtime, source);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              testing::AllOf(testing::StartsWith("gpu:0: ONNX Runtime "), HasSubstr(REAL_RUNTIME),
                             HasSubstr("has no CUDAExecutionProvider; expected a GPU package")));
}

}  // namespace
}  // namespace stagger::executor
