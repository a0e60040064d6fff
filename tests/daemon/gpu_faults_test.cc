#include "daemon/gpu/gpu_faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace stagger::daemon {
namespace {

constexpr DeviceId kGpu{1};
TimePoint At(int ms) { return TimePoint{std::chrono::milliseconds{ms}}; }
GpuFaults::Affected Of(std::uint64_t client, const char* name, std::uint32_t code) {
  return {ClientId{client}, name, static_cast<pid_t>(client), code};
}

TEST(GpuFaults, OfOneProcessAreItsOwn) {
  GpuFaults faults;
  EXPECT_FALSE(faults.Report(Of(1, "a", 719), kGpu, At(0)).shared);
  faults.Report(Of(2, "b", 700), kGpu, At(1));
  ASSERT_EQ(faults.recent().size(), 2U);
  EXPECT_EQ(faults.recent()[1].culprit()->name, "b");
}

TEST(GpuFaults, UnderMpsAreOneFaultForAll) {
  GpuFaults faults([] { return true; });
  faults.Report(Of(1, "a", 810), kGpu, At(0));
  faults.Report(Of(2, "b", 700), kGpu, At(1));
  faults.Report(Of(3, "c", 700), DeviceId{2}, At(2));
  ASSERT_EQ(faults.recent().size(), 2U) << "another GPU's is another";
  EXPECT_TRUE(faults.recent()[0].shared);
  EXPECT_EQ(faults.recent()[0].culprit()->name, "b");
  // One that notices late, while another is still there.
  faults.Report(Of(4, "d", 810), kGpu, At(60'000));
  EXPECT_EQ(faults.recent()[0].affected.size(), 3U);
}

TEST(GpuFaults, NameNobodyWhereSeveralBlameThemselves) {
  GpuFaults faults([] { return true; });
  faults.Report(Of(1, "a", 700), kGpu, At(0));
  faults.Report(Of(2, "b", 700), kGpu, At(1));
  EXPECT_EQ(faults.recent()[0].culprit(), nullptr);
}

TEST(GpuFaults, AreNewOnceAllHaveGoneOrOneIsBack) {
  GpuFaults faults([] { return true; });
  faults.Report(Of(1, "a", 700), kGpu, At(0));
  faults.Report(Of(2, "a", 700), kGpu, At(900));
  EXPECT_EQ(faults.recent().size(), 2U) << "its second life";
  faults.Left(Of(1, "a", 0), {kGpu}, At(1000));
  faults.Left(Of(2, "a", 0), {kGpu}, At(1000));
  EXPECT_FALSE(faults.Of(ClientId{2})->here);
  faults.Report(Of(3, "b", 810), kGpu, At(10'000));
  EXPECT_EQ(faults.recent().size(), 3U);
}

TEST(GpuFaults, BrokeThoseThatEndedMeanwhileWithoutAWord) {
  GpuFaults faults([] { return true; });
  faults.Left(Of(1, "long ago", 0), {kGpu}, At(0));
  faults.Left(Of(2, "just before", 0), {kGpu}, At(4900));
  faults.Left(Of(3, "of another GPU", 0), {DeviceId{2}}, At(4900));
  faults.Left(Of(4, "again", 0), {kGpu}, At(4900));
  faults.Report(Of(5, "bad", 700), kGpu, At(5000));
  faults.Report(Of(6, "again", 810), kGpu, At(5001));
  faults.Left(Of(5, "bad", 0), {kGpu}, At(5002));
  faults.Left(Of(7, "just after", 0), {kGpu}, At(5100));
  faults.Left(Of(8, "much later", 0), {kGpu}, At(8000));
  ASSERT_EQ(faults.recent().size(), 1U);
  const GpuFaults::Fault& fault = faults.recent()[0];
  std::vector<std::string> names;
  for (const GpuFaults::Affected& one : fault.affected) names.push_back(one.name);
  EXPECT_THAT(names, testing::UnorderedElementsAre("bad", "just before", "again", "just after"));
  EXPECT_EQ(fault.culprit()->name, "bad");
  EXPECT_EQ(faults.Of(ClientId{6})->code, 810U) << "its second life is what is told of";
  EXPECT_EQ(faults.Of(ClientId{4}), nullptr);
  EXPECT_FALSE(faults.Of(ClientId{7})->here);
}

TEST(GpuFaults, OfOneProcessBreakNobodyWhoLeaves) {
  GpuFaults faults;
  faults.Left(Of(1, "before", 0), {kGpu}, At(0));
  faults.Report(Of(2, "a", 700), kGpu, At(1));
  faults.Left(Of(3, "after", 0), {kGpu}, At(2));
  EXPECT_EQ(faults.recent()[0].affected.size(), 1U);
}

TEST(GpuFaults, AreGivenOutForTheLogOnceAndTheLastFewAreKept) {
  GpuFaults faults;
  for (std::uint64_t i = 1; i <= 20; ++i) faults.Report(Of(i, "a", 700), kGpu, At(0));
  EXPECT_EQ(faults.recent().size(), GpuFaults::kKept);
  EXPECT_EQ(faults.recent().back().number, 20U);
  EXPECT_EQ(faults.TakeUnlogged().size(), GpuFaults::kKept);
  EXPECT_TRUE(faults.TakeUnlogged().empty());
}

}  // namespace
}  // namespace stagger::daemon
