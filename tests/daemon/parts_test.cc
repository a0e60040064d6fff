// Small parts that need no daemon.
#include <gtest/gtest.h>

#include "daemon/clients/rate_window.h"
#include "daemon/loop/peer.h"
#include "daemon/view/http_server.h"
#include "daemon/view/video_finder.h"

namespace stagger::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RateWindow, CountsTheLastSeconds) {
  const TimePoint start{seconds{1000}};
  RateWindow window(start);
  TimePoint now = start;
  for (int i = 0; i < 200; ++i, now = now + milliseconds{100}) window.Add(now, 1);
  EXPECT_NEAR(window.PerSecond(now, seconds{5}), 10, 0.3);
  EXPECT_NEAR(window.PerSecond(now, seconds{10}), 10, 0.2);
  EXPECT_NEAR(window.PerSecond(now + seconds{4}, seconds{5}), 2, 0.6);
  EXPECT_EQ(window.PerSecond(now + seconds{60}, seconds{5}), 0);
}

TEST(RateWindow, StartsWithTheStream) {
  const TimePoint start{seconds{1000}};
  RateWindow window(start);
  window.Add(start + milliseconds{900}, 10);
  EXPECT_NEAR(window.PerSecond(start + seconds{1}, seconds{5}), 10, 0.01);
  EXPECT_EQ(RateWindow(start).PerSecond(start, seconds{5}), 0);
}

TEST(RateWindow, ForgetsWhatALongSilenceOverlaid) {
  const TimePoint start{seconds{1000}};
  RateWindow window(start);
  for (int i = 0; i < 100; ++i) window.Add(start + milliseconds{250 * i}, 100);
  window.Add(start + seconds{500}, 5);
  EXPECT_NEAR(window.PerSecond(start + seconds{500}, seconds{5}), 1, 0.05);
}

TEST(RateWindow, SpreadsWhatWasLongUnderWay) {
  const TimePoint start{seconds{1000}};
  RateWindow at_once(start);
  RateWindow spread(start);
  const TimePoint end = start + seconds{20};
  at_once.Add(end, 20'000);
  spread.AddOver(start, end, 20'000);
  EXPECT_NEAR(at_once.PerSecond(end, seconds{10}), 2000, 50) << "as if all had come at the end";
  EXPECT_NEAR(spread.PerSecond(end, seconds{10}), 1000, 50);
  EXPECT_NEAR(spread.PerSecond(end + seconds{5}, seconds{10}), 500, 50);
}

TEST(Printable, ReplacesControlsAndBrokenText) {
  EXPECT_EQ(Printable("gate-1"), "gate-1");
  EXPECT_EQ(Printable("門 1"), "門 1");
  EXPECT_EQ(Printable("a\nb\x1b[31m\x7f"), "a_b_[31m_");
  EXPECT_EQ(Printable("\xc3"), "_");
  EXPECT_EQ(Printable("\xff\xfe"), "__");
  EXPECT_EQ(Printable("\xc2\x9b"), "__");       // a C1 control
  EXPECT_EQ(Printable("\xed\xa0\x80"), "___");  // a surrogate
}

TEST(VideoFinder, ReadsTheKernelsTable) {
  const auto ports = ListeningPorts(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
      "inode\n"
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 111 1 "
      "0\n"
      "   1: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 222 1 "
      "0\n"
      "   2: 0200A8C0:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 333 1 "
      "0\n"
      "   3: 0100007F:1F93 0100007F:0050 01 00000000:00000000 00:00000000 00000000  1000 0 444 1 "
      "0\n"
      "   4: 00000000000000000000000001000000:1F94 00000000000000000000000000000000:0000 0A "
      "00000000:00000000 00:00000000 00000000  1000 0 555 1 0\n");
  EXPECT_EQ(ports, (std::map<unsigned long, int>{{111, 8080}, {222, 8081}, {555, 8084}}));
}

TEST(HostAllowed, KnowsNamesFromForgeries) {
  const HttpAddress loopback{"127.0.0.1", 7878};
  EXPECT_TRUE(HostAllowed("localhost:7878", loopback));
  EXPECT_FALSE(HostAllowed("192.168.0.7:7878", loopback));
  EXPECT_FALSE(HostAllowed("", loopback));
  const HttpAddress any{"0.0.0.0", 7878};
  EXPECT_TRUE(HostAllowed("192.168.0.7:7878", any));
  EXPECT_FALSE(HostAllowed("rebound.example:7878", any));
  const HttpAddress named{"wall.example", 7878};
  EXPECT_TRUE(HostAllowed("wall.example", named));
}

}  // namespace
}  // namespace stagger::daemon
