#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lab/vgpu/device_list.h"
#include "lab/vgpu/libcuda/environment.h"

namespace stagger::vgpu {
namespace {

// Four devices; the last but one is the fastest. UUIDs begin with aa, ab, b0 and c0.
std::vector<Welcome> Four() {
  std::vector<Welcome> devices(4);
  const unsigned char first[] = {0xaa, 0xab, 0xb0, 0xc0};
  for (int i = 0; i < 4; ++i) devices[i].uuid[0] = static_cast<char>(first[i]);
  devices[2].speed = 2;
  devices[3].speed = 0.5;
  return devices;
}

// As numbers: "0,2".
std::string Seen(const std::vector<Welcome>& all, const char* visible,
                 const char* order = "PCI_BUS_ID") {
  std::string text;
  for (const Welcome& device : VisibleDevices(all, visible, order)) {
    text += (text.empty() ? "" : ",") + std::to_string(NumberOf(all, device));
  }
  return text;
}

TEST(VisibleDevices, AreAllWhereNothingIsSaid) {
  EXPECT_EQ(Seen(Four(), nullptr), "0,1,2,3");
  EXPECT_EQ(Seen(Four(), ""), "");
}

TEST(VisibleDevices, TheFastestComesFirstUnlessToldOtherwise) {
  EXPECT_EQ(Seen(Four(), nullptr, nullptr), "2,0,1,3");
  EXPECT_EQ(Seen(Four(), "0", "FASTEST_FIRST"), "2");
  EXPECT_EQ(Seen(Four(), "0,3", nullptr), "2,3");
}

TEST(VisibleDevices, KeepTheListsOrder) {
  EXPECT_EQ(Seen(Four(), "3,0"), "3,0");
  EXPECT_EQ(Seen(Four(), " 1 , 2"), "1,2");
  EXPECT_EQ(Seen(Four(), "1gpu,2"), "1,2");
}

TEST(VisibleDevices, EndAtTheFirstThatIsNone) {
  EXPECT_EQ(Seen(Four(), "1,4,2"), "1");
  EXPECT_EQ(Seen(Four(), "-1"), "");
  EXPECT_EQ(Seen(Four(), "2,-1,0"), "2");
  EXPECT_EQ(Seen(Four(), "NoDevFiles"), "");
  EXPECT_EQ(Seen(Four(), "2,GPU-aa"), "2");
  EXPECT_EQ(Seen(Four(), "GPU-b0,1"), "2");
  EXPECT_EQ(Seen(Four(), "MIG-b0"), "");
}

TEST(VisibleDevices, OneThatComesTwiceMakesNone) {
  EXPECT_EQ(Seen(Four(), "1,2,1"), "");
  EXPECT_EQ(Seen(Four(), "GPU-b0,GPU-b000"), "");
}

TEST(VisibleDevices, AreNamedByUuidsThatMayBeCutShort) {
  const std::vector<Welcome> all = Four();
  EXPECT_EQ(Seen(all, (UuidText(all[3]) + "," + UuidText(all[0])).c_str()), "3,0");
  EXPECT_EQ(Seen(all, "GPU-c,GPU-b0"), "3,2");
  EXPECT_EQ(Seen(all, "GPU-ab,GPU-a"), "1") << "it may be either of two";
  EXPECT_EQ(Seen(all, "GPU-77"), "");
}

TEST(VisibleDevices, LostOnesAreNotCounted) {
  std::vector<Welcome> all = Four();
  all[0].lost = true;
  EXPECT_EQ(Seen(all, nullptr), "1,2,3");
  EXPECT_EQ(Seen(all, "0"), "1");
  EXPECT_EQ(Seen(all, "GPU-aa"), "");
}

}  // namespace
}  // namespace stagger::vgpu
