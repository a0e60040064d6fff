#include "relay/endpoints.h"

#include <gtest/gtest.h>

namespace stagger::relay {
namespace {

TEST(Endpoints, DestinationsWithAndWithoutHostAndPort) {
  const auto full = ParseDestination("rtsp://127.0.0.1:8554/gate");
  ASSERT_TRUE(full) << full.error().message;
  EXPECT_EQ(full->protocol, Destination::Protocol::kRtsp);
  EXPECT_EQ(full->Url(8554), "rtsp://127.0.0.1:8554/gate");
  EXPECT_TRUE(full->loopback());

  const auto bare = ParseDestination("http://:0/gate.mjpg");
  ASSERT_TRUE(bare) << bare.error().message;
  EXPECT_EQ(bare->protocol, Destination::Protocol::kMjpeg);
  EXPECT_EQ(bare->host, "127.0.0.1");
  EXPECT_EQ(bare->Url(4000), "http://127.0.0.1:4000/gate.mjpg");

  const auto standard = ParseDestination("rtsp://0.0.0.0");
  ASSERT_TRUE(standard) << standard.error().message;
  EXPECT_EQ(standard->port, 554);
  EXPECT_EQ(standard->path, "/");
  EXPECT_FALSE(standard->loopback());

  const auto ipv6 = ParseDestination("http://[::1]:80/x");
  ASSERT_TRUE(ipv6) << ipv6.error().message;
  EXPECT_EQ(ipv6->host, "::1");
  EXPECT_TRUE(ipv6->loopback());
  EXPECT_EQ(ipv6->Url(80), "http://[::1]:80/x");
}

TEST(Endpoints, BadDestinationsNameWhatIsWrong) {
  for (const char* text :
       {"", "gate", "ftp://h/x", "rtsp://h:x/y", "rtsp://h:/y", "rtsp://h:1x/y", "rtsp://h:70000/y",
        "rtsp://u:p@h:1/y", "http://h:1/a b", "http://h/x?y"}) {
    const auto bad = ParseDestination(text);
    ASSERT_FALSE(bad) << text;
    EXPECT_NE(bad.error().message.find(std::string("--to '") + text + "'"), std::string::npos);
    EXPECT_NE(bad.error().message.find("expected rtsp://"), std::string::npos);
  }
}

TEST(Endpoints, PasswordsAreNotShown) {
  EXPECT_EQ(WithoutPassword("rtsp://user:secret@cam/s@1"), "rtsp://user@cam/s@1");
  EXPECT_EQ(WithoutPassword("rtsp://user:se:c@ret@cam/s"), "rtsp://user@cam/s");
  EXPECT_EQ(WithoutPassword("rtsp://cam:554/a@b"), "rtsp://cam:554/a@b");
  EXPECT_EQ(WithoutPassword("clip.avi"), "clip.avi");
}

TEST(Endpoints, OfAUrlThatCannotBeTakenApartOnlyTheSchemeIsShown) {
  EXPECT_EQ(WithoutPassword("rtsp://user:secret@cam:port/s"), "rtsp://…");
}

TEST(Endpoints, Origins) {
  const auto stream = ParseOrigin("rtsp://u:p@cam/1");
  ASSERT_TRUE(stream);
  EXPECT_EQ(stream->kind, Origin::Kind::kRtsp);
  EXPECT_TRUE(stream->live());
  EXPECT_EQ(stream->location, "rtsp://u:p@cam/1");
  EXPECT_EQ(stream->shown, "rtsp://u@cam/1");
  EXPECT_TRUE(CheckReadable(*stream));
  const auto unknown = ParseOrigin("gopher://u:p@cam");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("'gopher://u@cam': unknown scheme"), std::string::npos);
  const auto file = ParseOrigin("file:///proc/self/exe");
  ASSERT_TRUE(file);
  EXPECT_FALSE(file->live());
  EXPECT_EQ(file->location, "/proc/self/exe");
  EXPECT_TRUE(CheckReadable(*file));
}

TEST(Endpoints, WhatCannotBeReadIsNamed) {
  const auto refusal = [](const char* text) {
    const Result<void> readable = CheckReadable(ParseOrigin(text).value());
    return readable ? "" : readable.error().message;
  };
  EXPECT_EQ(refusal("/no/such.avi"), "file '/no/such.avi': no such file");
  EXPECT_EQ(refusal("/dev/video99"), "camera '/dev/video99': no such device");
  EXPECT_NE(refusal("/tmp").find("is not a file"), std::string::npos);
}

}  // namespace
}  // namespace stagger::relay
