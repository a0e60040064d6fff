// The virtual GPU's small parts: order of streams, kernel images, quantities, faults, lateness.
#include <gtest/gtest.h>

#include <cstring>

#include "lab/vgpu/lateness.h"
#include "lab/vgpu/libcuda/image.h"
#include "lab/vgpu/libcuda/memory.h"
#include "lab/vgpu/libcuda/stream_order.h"
#include "lab/vgpu/op_log.h"
#include "lab/vgpu/quantity.h"

namespace stagger::vgpu {
namespace {

using Ids = std::vector<OpId>;

class Streams : public testing::Test {
 protected:
  Streams() {
    order.Add(&a);
    order.Add(&b);
    free.blocking = false;
    order.Add(&free);
  }
  Ids Append(StreamOrder::Queue* queue) {
    Ids after;
    order.Append(queue, ++last, &after);
    return after;
  }
  StreamOrder order;
  StreamOrder::Queue a, b, free;
  OpId last = 0;
};

TEST_F(Streams, OneAfterTheOtherWithinAStreamAndNothingBetweenStreams) {
  EXPECT_EQ(Append(&a), Ids{});
  EXPECT_EQ(Append(&b), Ids{});
  EXPECT_EQ(Append(&a), Ids{1});
  EXPECT_EQ(Append(&b), Ids{2});
}

TEST_F(Streams, TheLegacyStreamIsABarrierForBlockingOnes) {
  Append(&a);                                 // 1
  Append(&b);                                 // 2
  Append(&free);                              // 3
  const Ids legacy = Append(order.legacy());  // 4
  EXPECT_EQ(std::set(legacy.begin(), legacy.end()), (std::set<OpId>{1, 2}));
  EXPECT_EQ(Append(&a), (Ids{1, 4}));
  EXPECT_EQ(Append(&free), Ids{3}) << "a non-blocking stream does not care";
  EXPECT_EQ(Append(&a), Ids{5}) << "it is after 4 already";
  EXPECT_EQ(Append(order.legacy()), (Ids{4, 7})) << "b has had nothing new";
}

TEST_F(Streams, ADestroyedStreamsWorkStillComesBeforeTheLegacyStreams) {
  Append(&a);  // 1
  order.Remove(&a);
  EXPECT_EQ(order.PendingInAll(), Ids{1});
  EXPECT_EQ(Append(order.legacy()), Ids{1});
  EXPECT_EQ(Append(order.legacy()), Ids{2});
}

TEST_F(Streams, WaitingForTheLegacyStreamMeansWhatItMustComeAfterToo) {
  Append(&a);
  Append(&free);
  EXPECT_EQ(order.Pending(order.legacy()), Ids{1});
  const Ids pending = order.PendingInAll();
  EXPECT_EQ(std::set(pending.begin(), pending.end()), (std::set<OpId>{1, 2}));
}

TEST(KernelImage, ReadsItsFields) {
  const auto kernels = ParseImage(
      "# ours\n"
      "kernel conv cost=1.5ms demand=0.4 class=body params=8,4,8\n"
      "\n  kernel nms cost=50us class=post do=scale  # small\n"
      "kernel plain\n"
      "kernel stuck cost=forever");
  ASSERT_TRUE(kernels) << kernels.error().message;
  ASSERT_EQ(kernels->size(), 4u);
  const Kernel& conv = (*kernels)[0];
  EXPECT_EQ(conv.name, "conv");
  EXPECT_EQ(conv.cost_ns, 1'500'000);
  EXPECT_EQ(conv.demand, 0.4);
  EXPECT_EQ(conv.post, 0);
  EXPECT_EQ(conv.OffsetOf(1), 8u);
  EXPECT_EQ(conv.OffsetOf(2), 16u) << "aligned";
  EXPECT_EQ(conv.params_bytes(), 24u);
  EXPECT_EQ((*kernels)[1].post, 1);
  EXPECT_EQ((*kernels)[1].params, (std::vector<std::uint32_t>{8, 8, 4, 4}));
  EXPECT_EQ((*kernels)[2].cost_ns, -1);
  EXPECT_FALSE((*kernels)[2].sized);
  EXPECT_GT((*kernels)[3].cost_ns, 1'000'000'000'000);
}

TEST(KernelImage, SaysWhatIsWrong) {
  const auto error = [](const char* text) {
    const auto kernels = ParseImage(text);
    return kernels ? std::string("nothing") : kernels.error().message;
  };
  EXPECT_EQ(error("kernel a\nkernl b"), "kernel image, line 2: 'kernl'; expected kernel NAME ...");
  EXPECT_EQ(error("kernel a cost=5"),
            "kernel image, line 1: kernel a: cost is '5'; expected a time like 50us, 1.5ms, or "
            "forever");
  EXPECT_EQ(error("kernel a demand=2"),
            "kernel image, line 1: kernel a: demand is '2'; expected a number above 0, up to 1");
  EXPECT_EQ(error("kernel a class=x"),
            "kernel image, line 1: kernel a: class is 'x'; expected body or post");
  EXPECT_EQ(
      error("kernel a params=8,,4"),
      "kernel image, line 1: kernel a: params is '8,,4'; expected sizes in bytes with commas, "
      "like 8,8,4");
  EXPECT_EQ(error("kernel a do=divide"),
            "kernel image, line 1: kernel a: do is 'divide'; expected copy, add or scale");
  EXPECT_EQ(error("kernel a do=add params=4"),
            "kernel image, line 1: kernel a: params do not fit do=; expected 8,8,4");
  EXPECT_EQ(error("kernel a speed=1"),
            "kernel image, line 1: kernel a: speed is '1'; expected one of cost, demand, class, "
            "params, do");
  EXPECT_EQ(error("kernel"), "kernel image, line 1: a kernel without a name");
}

TEST(KernelImage, TellsItsOwnFromOthers) {
  EXPECT_TRUE(IsImageText("kernel a\n"));
  EXPECT_TRUE(IsImageText("\n  # x\n"));
  EXPECT_FALSE(IsImageText("//\n.version 8.0\n"));
  EXPECT_FALSE(
      IsImageText("\x7f"
                  "ELF"));
}

TEST(KernelImage, ComputesOnBuffers) {
  const auto kernels = ParseImage("kernel c do=copy\nkernel a do=add\nkernel s do=scale\n");
  ASSERT_TRUE(kernels);
  float from[] = {1, 2, 3};
  float to[] = {10, 10, 10};
  std::byte packed[24] = {};
  const float* pointers[] = {to, from};
  std::memcpy(packed, pointers, sizeof pointers);
  const auto run = [&](const Kernel& kernel, float factor, int count) {
    const bool scale = kernel.action == Action::kScale;
    if (scale) std::memcpy(packed + 16, &factor, 4);
    std::memcpy(packed + (scale ? 20 : 16), &count, 4);
    Compute(kernel, packed);
  };
  run((*kernels)[1], 0, 2);
  EXPECT_EQ(to[1], 12);
  EXPECT_EQ(to[2], 10);
  EXPECT_EQ(UsesOf((*kernels)[1], packed)[0].bytes, 8u);
  run((*kernels)[2], 0.5f, 3);
  EXPECT_EQ(to[2], 1.5f);
  run((*kernels)[0], 0, 3);
  EXPECT_EQ(to[2], 3);
  run((*kernels)[0], 0, -5);
}

TEST(VgpuQuantity, ReadsTimesAndSizes) {
  EXPECT_EQ(ParseTime("50us"), std::chrono::microseconds{50});
  EXPECT_EQ(ParseTime("1.5ms"), std::chrono::microseconds{1500});
  EXPECT_EQ(ParseTime("7ns"), std::chrono::nanoseconds{7});
  EXPECT_EQ(ParseTime("2s"), std::chrono::seconds{2});
  for (const char* bad : {"", "5", "ms", "-1ms", "1min", "1e20s", "nanms"}) {
    EXPECT_EQ(ParseTime(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(ParseSize("4096"), 4096u);
  EXPECT_EQ(ParseSize("1k"), 1024u);
  EXPECT_EQ(ParseSize("16GiB"), 16ull << 30);
  EXPECT_EQ(ParseSize("512M"), 512ull << 20);
  EXPECT_EQ(ParseSize("2GB"), 2ull << 30);
  for (const char* bad : {"", "G", "0", "-1G", "1X", "1GiBx", "1e30"}) {
    EXPECT_EQ(ParseSize(bad), std::nullopt) << bad;
  }
}

TEST(VgpuFaults, ReadsOrders) {
  const auto orders = ParseFaults("launch:conv:3,hang:a:b:1");
  ASSERT_TRUE(orders);
  ASSERT_EQ(orders->size(), 2u);
  EXPECT_EQ((*orders)[0].fault, Fault::kLaunch);
  EXPECT_EQ((*orders)[0].kernel, "conv");
  EXPECT_EQ((*orders)[0].nth, 3u);
  EXPECT_EQ((*orders)[1].kernel, "a:b") << "a kernel's name may hold colons";
  for (const char* bad :
       {"launch", "launch:conv", "launch:conv:0", "launch:conv:x", "burn:conv:1", "launch::1"}) {
    EXPECT_FALSE(ParseFaults(bad)) << bad;
  }
}

TEST(VgpuLateness, QuantilesAreUpperEndsOfSteps) {
  Lateness lateness;
  LateRecord record;
  for (int i = 0; i < 98; ++i) ++record.counts[Lateness::StepOf(std::chrono::microseconds{30})];
  ++record.counts[Lateness::StepOf(std::chrono::microseconds{900})];
  ++record.counts[Lateness::StepOf(std::chrono::milliseconds{5})];
  record.max_ns = 5'000'000;
  lateness.Add(record);
  EXPECT_EQ(lateness.total(), 100u);
  EXPECT_GE(lateness.Quantile(0.5), std::chrono::microseconds{30});
  EXPECT_LE(lateness.Quantile(0.5), std::chrono::microseconds{45});
  EXPECT_EQ(lateness.Quantile(1), std::chrono::milliseconds{5});
  EXPECT_DOUBLE_EQ(lateness.ShareAbove(std::chrono::milliseconds{1}), 0.01);
  EXPECT_EQ(Lateness().Quantile(0.5), Duration{});
}

TEST(VgpuMemory, KnowsWhatAnAddressBelongsTo) {
  Memory memory;
  memory.Add({0x1000, 0x100, MemoryKind::kDevice, 0, nullptr});
  memory.Add({0x2000, 0x10, MemoryKind::kPinned, 0, nullptr});
  EXPECT_EQ(memory.At(0xfff), nullptr);
  EXPECT_EQ(memory.At(0x10ff)->address, 0x1000u);
  EXPECT_EQ(memory.At(0x1100), nullptr);
  EXPECT_TRUE(memory.Usable(0x1080, 0x80));
  EXPECT_FALSE(memory.Usable(0x1080, 0x81));
  EXPECT_FALSE(memory.Usable(0x1080, ~std::size_t{0}));
}

TEST(VgpuLog, QuotesNames) { EXPECT_EQ(Quoted("a\"b\\\n"), "\"a\\\"b\\\\\\u000a\""); }

}  // namespace
}  // namespace stagger::vgpu
