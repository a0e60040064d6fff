#include "wire/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "wire/fields.h"
#include "wire/samples.h"

namespace stagger::wire {
namespace {

using Packet = std::vector<std::byte>;

Packet Encoded(const Message& message) {
  Packet packet;
  EXPECT_TRUE(Encode(message, &packet)) << NameOf(message);
  return packet;
}

void ExpectRoundTrip(const Message& message) {
  const Packet packet = Encoded(message);
  const auto decoded = Decode(packet);
  ASSERT_TRUE(decoded) << NameOf(message);
  EXPECT_EQ(*decoded, message) << NameOf(message);
}

void ExpectRefused(const Message& message) {
  Packet packet{std::byte{7}};
  EXPECT_FALSE(Encode(message, &packet)) << NameOf(message);
  EXPECT_EQ(packet, Packet{std::byte{7}}) << "a refused message leaves bytes behind";
  std::array<std::byte, kMaxPacket> buffer;
  EXPECT_EQ(Encode(message, std::span(buffer)), 0U) << NameOf(message);
}

// `sample` with the bytes at `offset` replaced.
Packet Patched(const Message& sample, std::size_t offset, std::string_view hex) {
  Packet packet = Encoded(sample);
  std::ranges::copy(FromHex(hex), packet.begin() + static_cast<std::ptrdiff_t>(offset));
  return packet;
}

TEST(Codec, SamplesCoverEveryMessage) {
  std::set<std::size_t> kinds;
  std::set<std::string> names;
  for (const auto& sample : Samples()) {
    kinds.insert(sample.message.index());
    names.insert(NameOf(sample.message));
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<Message>);
  EXPECT_EQ(names.size(), std::variant_size_v<Message>);
}

TEST(Codec, GoldenBytes) {
  for (const auto& sample : Samples()) {
    EXPECT_EQ(Encoded(sample.message), FromHex(sample.hex)) << NameOf(sample.message);
    const auto decoded = Decode(FromHex(sample.hex));
    ASSERT_TRUE(decoded) << NameOf(sample.message);
    EXPECT_EQ(*decoded, sample.message) << NameOf(sample.message);
  }
}

TEST(Codec, EdgeValuesRoundTrip) {
  constexpr auto kU16 = std::numeric_limits<std::uint16_t>::max();
  constexpr auto kU32 = std::numeric_limits<std::uint32_t>::max();
  constexpr auto kU64 = std::numeric_limits<std::uint64_t>::max();
  constexpr CoreMask kAllCores{{kU64, kU64, kU64, kU64}};
  const std::string every_byte = [] {
    std::string s;
    for (int i = 0; i < 256; ++i) s += static_cast<char>(i);
    return s;
  }();
  const std::vector<Message> messages = {
      Hello{0},
      Hello{kU16,
            {.name = std::string(kMaxName, 'n'),
             .required_fps = 100'000,
             .deadline = kMaxDuration,
             .weight = 1'000'000,
             .min_fps = 100'000,
             .excess = kLastExcess},
            kU64},
      Request{{0}, {0}, Duration{0}, false},
      Request{{kU64}, {kMaxDevice}, kMaxDuration, true, true, kMaxDuration, kMaxDuration},
      Release{{0}, Duration{0}, Duration{0}, Duration{0}},
      Release{{kU64}, kMaxDuration, kMaxDuration, kMaxDuration},
      Ended{{0}, Duration{0}, Duration{0}},
      Ended{{kMaxDevice}, kMaxDuration, kMaxDuration},
      Cancel{{kU64}},
      Claim{{kU64}, {kMaxDevice}, kMaxDuration},
      Ungated{0},
      Faulted{{0}, 1},
      Faulted{{kMaxDevice}, kMaxCode},
      Ungated{kU32},
      Control{0, "", ""},
      Control{kU16, std::string(kMaxText, 'v'), std::string(kMaxChunk, '\0')},
      Control{1, "status", every_byte},
      Welcome{0, {0}, {}},
      Welcome{kU16, {kU64}, std::vector<Gpu>(kMaxGpus, Gpu{{kMaxDevice}, {}}), kU64},
      RetryAfter{Duration{0}, ""},
      RetryAfter{kMaxDuration, std::string(kMaxText, 'r')},
      Config{true, kMaxDuration, kMaxDuration, kU32},
      Exceeded{},
      Exceeded{kU32, kU32, true},
      Grant{{0}, Duration{1}, {}},
      Grant{{kU64}, kMaxDuration, kAllCores},
      Expired{{kU64}},
      Refused{""},
      Refused{std::string(kMaxText, 'r')},
      ControlReply{true, true, std::string(kMaxChunk, '\xff')},
      ControlReply{false, false, every_byte},
      Forwarded{Duration{0}},
      Forwarded{kMaxDuration},
      Uses{},
      Uses{std::vector(kMaxExecutors, std::string(kMaxSocketPath, 'p'))},
      Serves{std::string(kMaxSocketPath, 'p')},
      Assign{},
      Assign{std::vector(kMaxExecutors, std::string(kMaxSocketPath, 'p'))},
  };
  for (const auto& message : messages) ExpectRoundTrip(message);
}

TEST(Codec, RefusesToEncodeWhatExceedsItsBound) {
  constexpr Duration kTooLong = kMaxDuration + Duration{1};
  const std::vector<Message> messages = {
      Hello{1, {.name = std::string(kMaxName + 1, 'n')}},
      Hello{1, {.name = "a\nb"}},
      Hello{1, {.name = "\xff"}},
      Hello{1, {.name = std::string("a\0b", 3)}},
      Hello{1, {.required_fps = 100'000.001}},
      Hello{1, {.required_fps = -1}},
      Hello{1, {.required_fps = std::numeric_limits<double>::quiet_NaN()}},
      Hello{1, {.required_fps = std::numeric_limits<double>::infinity()}},
      Hello{1, {.deadline = kMaxDuration + std::chrono::microseconds{1}}},
      Hello{1, {.deadline = std::chrono::microseconds{-1}}},
      Hello{1, {.weight = 0}},
      Hello{1, {.weight = 1'000'000.001}},
      Hello{1, {.min_fps = 100'000.001}},
      Hello{1, {.excess = Excess{3}}},
      Request{{1}, {kMaxDevice + 1}, Duration{0}, true},
      Request{{1}, {0}, Duration{-1}, true},
      Request{{1}, {0}, kTooLong, true},
      Request{{1}, {0}, Duration{0}, true, false, kTooLong, Duration{1}},
      Request{{1}, {0}, Duration{0}, true, false, Duration{0}, Duration{-1}},
      Release{{1}, Duration{-1}, Duration{0}, Duration{0}},
      Release{{1}, Duration{0}, Duration::min(), Duration{0}},
      Release{{1}, Duration{0}, Duration{0}, Duration::max()},
      Ended{{kMaxDevice + 1}, Duration{0}, Duration{0}},
      Ended{{1}, kTooLong, Duration{0}},
      Faulted{{kMaxDevice + 1}, 1},
      Faulted{{1}, 0},
      Faulted{{1}, kMaxCode + 1},
      Ended{{1}, Duration{0}, Duration{-1}},
      Claim{{1}, {kMaxDevice + 1}, Duration{0}},
      Claim{{1}, {0}, kTooLong},
      Control{1, std::string(kMaxText + 1, 'v'), ""},
      Control{1, "a\tb", ""},
      Control{1, "", std::string(kMaxChunk + 1, ' ')},
      Control{1, "", std::string(1 << 17, ' ')},
      Welcome{1, {1}, std::vector<Gpu>(kMaxGpus + 1, Gpu{{1}, {}})},
      Welcome{1, {1}, std::vector<Gpu>(256, Gpu{{1}, {}})},
      Welcome{1, {1}, {{kCpuDevice, {}}}},
      Welcome{1, {1}, {{{kMaxDevice + 1}, {}}}},
      Config{true, kTooLong},
      Config{true, Duration{0}, kTooLong},
      Grant{{1}, Duration{-1}, {}},
      Refused{std::string(kMaxText + 1, 'r')},
      Refused{"\x1b[2J"},
      RetryAfter{kTooLong, ""},
      RetryAfter{Duration{1}, std::string(kMaxText + 1, 'r')},
      RetryAfter{Duration{1}, "a\nb"},
      ControlReply{true, false, std::string(kMaxChunk + 1, ' ')},
      Forwarded{kTooLong},
      Uses{std::vector<std::string>(kMaxExecutors + 1)},
      Uses{{std::string(kMaxSocketPath + 1, 'p')}},
      Serves{std::string(kMaxSocketPath + 1, 'p')},
      Assign{std::vector<std::string>(kMaxExecutors + 1)},
      Assign{std::vector<std::string>(256)},
      Assign{{"/e0", std::string(kMaxSocketPath + 1, 'p')}},
      Assign{{"/e0\n"}},
  };
  for (const auto& message : messages) ExpectRefused(message);
}

TEST(Codec, BoundedMakesAnyDurationSendable) {
  EXPECT_EQ(Bounded(Duration::min()), Duration{0});
  EXPECT_EQ(Bounded(Duration{5}), Duration{5});
  EXPECT_EQ(Bounded(Duration::max()), kMaxDuration);
}

TEST(Codec, AppendsToWhatIsThere) {
  Packet bytes{std::byte{1}, std::byte{2}};
  ASSERT_TRUE(Encode(Cancel{{3}}, &bytes));
  EXPECT_EQ(Packet(bytes.begin() + 2, bytes.end()), Encoded(Cancel{{3}}));
}

TEST(Codec, EncodesIntoABufferOfExactlyTheRightSizeButNoSmaller) {
  for (const auto& sample : Samples()) {
    const Packet expected = FromHex(sample.hex);
    for (std::size_t size = 0; size <= expected.size() + 1; ++size) {
      Packet buffer(size + 1, std::byte{0xee});  // the last byte must stay as it is
      const std::size_t written = Encode(sample.message, std::span(buffer).first(size));
      EXPECT_EQ(written, size < expected.size() ? 0 : expected.size());
      EXPECT_EQ(buffer.back(), std::byte{0xee}) << NameOf(sample.message) << " in " << size;
      buffer.resize(written);
      EXPECT_EQ(buffer, written > 0 ? expected : Packet{});
    }
  }
}

TEST(Codec, OnlyControlNeedsMoreThanAShortPacket) {
  EXPECT_LE(Encoded(Hello{1, {.name = std::string(kMaxName, 'n')}}).size(), kMaxShortPacket);
  EXPECT_LE(Encoded(Refused{std::string(kMaxText, 'r')}).size(), kMaxShortPacket);
  EXPECT_LE(Encoded(RetryAfter{{}, std::string(kMaxText, 'r')}).size(), kMaxShortPacket);
  const Welcome many{2, {1}, std::vector<Gpu>(kMaxGpus, Gpu{{1}, {}})};
  EXPECT_LE(Encoded(many).size(), kMaxShortPacket);
  const std::vector paths(kMaxExecutors, std::string(kMaxSocketPath, 'p'));
  EXPECT_LE(Encoded(Assign{paths}).size(), kMaxShortPacket);
  EXPECT_LE(Encoded(Uses{paths}).size(), kMaxShortPacket);
  const Control largest{1, std::string(kMaxText, 'v'), std::string(kMaxChunk, 'b')};
  EXPECT_LE(Encoded(largest).size(), kMaxPacket);
}

TEST(Codec, EveryTruncationIsRejected) {
  for (const auto& sample : Samples()) {
    const Packet packet = FromHex(sample.hex);
    for (std::size_t size = 0; size < packet.size(); ++size) {
      // Copied to the heap at its own size, so that a sanitizer sees a read past the end.
      const Packet cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(Decode(cut)) << NameOf(sample.message) << " cut to " << size;
      EXPECT_FALSE(DecodeForeign(cut)) << NameOf(sample.message) << " cut to " << size;
    }
  }
}

// As above with a header that claims the shorter length, so that the fields themselves run out.
TEST(Codec, EveryHonestTruncationIsRejected) {
  for (const auto& sample : Samples()) {
    const Packet packet = FromHex(sample.hex);
    for (std::size_t size = 8; size < packet.size(); ++size) {
      Packet cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
      cut[4] = static_cast<std::byte>(size - 8);
      EXPECT_FALSE(Decode(cut)) << NameOf(sample.message) << " cut to " << size;
    }
  }
}

TEST(Codec, BytesBehindTheLengthThatIsStatedAreRejected) {
  for (const auto& sample : Samples()) {
    Packet packet = FromHex(sample.hex);
    packet.push_back(std::byte{0});
    EXPECT_FALSE(Decode(packet)) << NameOf(sample.message);
  }
}

TEST(Codec, WhatANewerPeerAppendsIsSkippedInAgentMessagesOnly) {
  for (const auto& sample : Samples()) {
    const Packet packet = Appended(FromHex(sample.hex), "newer");
    std::size_t appended = 0;
    const auto decoded = Decode(packet, &appended);
    if (MayGrow(sample.message)) {
      EXPECT_EQ(decoded, sample.message) << NameOf(sample.message);
      EXPECT_EQ(appended, 5U) << NameOf(sample.message);
    } else {
      EXPECT_FALSE(decoded) << NameOf(sample.message);
    }
  }
}

TEST(Codec, OnlyFeaturesThatBothHaveAreAgreed) {
  EXPECT_EQ(AgreedFeatures(0b110, 0b011), 0b010U);
  EXPECT_EQ(AgreedFeatures(~std::uint64_t{0}), kFeatures);
}

// A message of two versions. The older one has one field, the newer one two.
struct Small {
  std::uint32_t first = 1;
};
struct Grown {
  std::uint32_t first = 1;
  std::uint32_t second = 2;  // appended later
};
template <typename A>
void Fields(A& a, Ref<A, Small> m) {
  a.Number(m.first);
}
template <typename A>
void Fields(A& a, Ref<A, Grown> m) {
  a.Number(m.first);
  if (!a.More()) return;
  a.Number(m.second);
}

TEST(Codec, AnAppendedFieldHasItsDefaultWhereAnOlderPeerDoesNotSendIt) {
  std::array<std::byte, 16> bytes{};
  Writer grown{std::span(bytes)};
  Fields(grown, Grown{7, 8});
  ASSERT_EQ(grown.size(), 8U);
  Small small;
  Reader skips(std::span<const std::byte>(bytes).first(8));
  Fields(skips, small);
  EXPECT_TRUE(skips.ok());
  EXPECT_EQ(small.first, 7U);
  EXPECT_EQ(skips.left(), 4U);

  Grown read;
  Reader older(std::span<const std::byte>(bytes).first(4));
  Fields(older, read);
  EXPECT_TRUE(older.ok());
  EXPECT_EQ(read.first, 7U);
  EXPECT_EQ(read.second, 2U);
  Reader same(std::span<const std::byte>(bytes).first(8));
  Fields(same, read);
  EXPECT_EQ(read.second, 8U);
  Reader broken(std::span<const std::byte>(bytes).first(6));
  Fields(broken, read);
  EXPECT_FALSE(broken.ok()) << "half a field is no older peer's";
}

TEST(Codec, EveryBitFlipIsRejectedOrAnotherValidMessage) {
  for (const auto& sample : Samples()) {
    Packet packet = FromHex(sample.hex);
    for (std::size_t bit = 0; bit < packet.size() * 8; ++bit) {
      const auto mask = static_cast<std::byte>(1U << (bit % 8));
      packet[bit / 8] ^= mask;
      // A count of items that became smaller leaves bytes behind, as a newer peer may.
      std::size_t appended = 0;
      if (const auto decoded = Decode(packet, &appended)) {
        EXPECT_NE(*decoded, sample.message) << "bit " << bit;
        const std::size_t known = packet.size() - appended;
        Packet again = Encoded(*decoded);
        ASSERT_EQ(again.size(), known) << "bit " << bit;
        EXPECT_TRUE(std::equal(again.begin() + 8, again.end(), packet.begin() + 8))
            << "bit " << bit;
      }
      packet[bit / 8] ^= mask;
    }
  }
}

TEST(Codec, RejectsWhatEncodeNeverProduces) {
  const Request request{{1}, {0}, Duration{0}, true};
  const Config config{true, Duration{0}};
  const Hello hello{1, {.name = "ab"}};
  const Welcome welcome{2, {1}, {{{1}, {}}}};
  ASSERT_TRUE(Decode(Patched(request, 28, "00")));
  EXPECT_FALSE(Decode(Patched(request, 28, "02"))) << "flag 2";
  EXPECT_FALSE(Decode(Patched(request, 16, "00010000"))) << "device 256";
  EXPECT_FALSE(Decode(Patched(request, 20, "ffffffffffffffff"))) << "negative duration";
  EXPECT_FALSE(Decode(Patched(config, 9, "01a0b83046030000"))) << "an hour and a nanosecond";
  EXPECT_FALSE(Decode(Patched(request, 2, "01"))) << "reserved";
  EXPECT_FALSE(Decode(Patched(request, 0, "0000"))) << "type 0";
  EXPECT_FALSE(Decode(Patched(request, 0, "0201"))) << "type 0x102";
  EXPECT_FALSE(Decode(Patched(request, 4, "00000080"))) << "absurd length";
  EXPECT_FALSE(Decode(Patched(hello, 12, "0a"))) << "line break in a name";
  EXPECT_FALSE(Decode(Patched(hello, 13, "c3"))) << "half a character";
  EXPECT_FALSE(Decode(Patched(hello, 10, "ffff"))) << "name runs past the end";
  EXPECT_FALSE(Decode(Patched(hello, 22, "00000000"))) << "weight 0";
  EXPECT_FALSE(Decode(Patched(welcome, 18, "02"))) << "a GPU fewer than the count";
  EXPECT_FALSE(Decode(Patched(welcome, 18, "ff"))) << "255 GPUs";
  EXPECT_FALSE(Decode(Patched(welcome, 19, "00000000"))) << "the CPU among the GPUs";
  EXPECT_FALSE(Decode({}));
  EXPECT_FALSE(Decode(Packet(kMaxPacket + 1)));
}

TEST(Codec, NamesOverTheBoundAreRejectedEvenIfComplete) {
  Packet packet = Encoded(Hello{1, {.name = std::string(kMaxName, 'n')}});
  packet.insert(packet.begin() + 12, std::byte{'n'});
  packet[4] = static_cast<std::byte>(packet.size() - 8);
  packet[10] = static_cast<std::byte>(kMaxName + 1);
  EXPECT_FALSE(Decode(packet));
}

TEST(Codec, GreetingsOfAnotherVersionKeepTheirVersion) {
  Hello hello;
  hello.version = kProtocolVersion + 1;
  Packet packet = Encoded(hello);
  packet.resize(10);  // whatever stands behind the version
  packet = Appended(packet, std::string(40, '\xab'));
  EXPECT_FALSE(Decode(packet));
  EXPECT_EQ(DecodeForeign(packet), Message(hello));

  // What a daemon of version 1 said: it knew of no GPUs.
  const Packet old = FromHex("200000000a00000001001032547698badcfe");
  EXPECT_FALSE(Decode(old));
  ASSERT_TRUE(DecodeForeign(old));
  EXPECT_EQ(std::get<Welcome>(*DecodeForeign(old)).version, 1);
  const Packet welcome = FromHex("20000000020000000900");
  ASSERT_TRUE(DecodeForeign(welcome));
  EXPECT_EQ(std::get<Welcome>(*DecodeForeign(welcome)).version, 9);
  const Packet control = FromHex("10000000020000000900");
  ASSERT_TRUE(DecodeForeign(control));
  EXPECT_EQ(std::get<Control>(*DecodeForeign(control)).version, 9);

  EXPECT_FALSE(DecodeForeign(FromHex("20000000020000000600"))) << "our own version";
  EXPECT_FALSE(DecodeForeign(FromHex("020000000200000003000"))) << "not a greeting";
  EXPECT_FALSE(DecodeForeign(FromHex("200000000100000003"))) << "half a version";
  EXPECT_FALSE(DecodeForeign({}));
}

}  // namespace
}  // namespace stagger::wire
