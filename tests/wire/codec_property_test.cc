#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>

#include "wire/codec.h"
#include "wire/samples.h"
#include "wire/text.h"

namespace stagger::wire {
namespace {

template <typename T>
T UpTo(T low, T high) {
  const auto anywhere = rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(low, high));
  return *rc::gen::oneOf(rc::gen::just(low), rc::gen::just(high), anywhere);
}

Duration AnyDuration() { return Duration{UpTo<std::int64_t>(0, kMaxDuration.count())}; }
std::uint64_t AnyU64() { return *rc::gen::arbitrary<std::uint64_t>(); }
std::uint16_t AnyU16() { return *rc::gen::arbitrary<std::uint16_t>(); }
bool AnyFlag() { return *rc::gen::arbitrary<bool>(); }
DeviceId AnyDevice() { return {UpTo<std::uint32_t>(0, kMaxDevice)}; }
std::string AnyBytes() { return *rc::gen::arbitrary<std::string>(); }
std::string AnyText(std::size_t max) { return CleanText(AnyBytes(), max); }

std::vector<Gpu> AnyGpus() {
  std::vector<Gpu> gpus(UpTo<std::size_t>(0, kMaxGpus));
  for (Gpu& gpu : gpus) {
    gpu.device.value = UpTo<std::uint32_t>(1, kMaxDevice);
    for (std::uint8_t& byte : gpu.uuid) byte = *rc::gen::arbitrary<std::uint8_t>();
  }
  return gpus;
}

std::vector<std::string> AnyPaths() {
  std::vector<std::string> paths(UpTo<std::size_t>(0, kMaxExecutors));
  for (std::string& path : paths) path = AnyText(kMaxSocketPath);
  return paths;
}

Message AnyMessage(std::size_t kind) {
  switch (kind) {
    case 0:
      return Hello{AnyU16(),
                   {.name = AnyText(kMaxName),
                    .required_fps = UpTo<std::uint32_t>(0, 100'000'000) / 1000.0,
                    .deadline = std::chrono::microseconds{UpTo<std::uint32_t>(0, 3'600'000'000)},
                    .weight = UpTo<std::uint32_t>(1, 1'000'000'000) / 1000.0,
                    .min_fps = UpTo<std::uint32_t>(0, 100'000'000) / 1000.0,
                    .excess = *rc::gen::element(Excess::kPace, Excess::kReuse, Excess::kPass)},
                   AnyU64()};
    case 1:
      return Request{{AnyU64()}, AnyDevice(),   AnyDuration(), AnyFlag(),
                     AnyFlag(),  AnyDuration(), AnyDuration()};
    case 2:
      return Release{{AnyU64()}, AnyDuration(), AnyDuration(), AnyDuration()};
    case 3:
      return Ended{AnyDevice(), AnyDuration(), AnyDuration()};
    case 4:
      return Cancel{{AnyU64()}};
    case 5:
      return Claim{{AnyU64()}, AnyDevice(), AnyDuration()};
    case 6:
      return Ungated{*rc::gen::arbitrary<std::uint32_t>()};
    case 7:
      return Faulted{AnyDevice(), UpTo<std::uint32_t>(1, kMaxCode)};
    case 8:
      return Control{AnyU16(), AnyText(kMaxText), AnyBytes()};
    case 9:
      return Welcome{AnyU16(), {AnyU64()}, AnyGpus(), AnyU64()};
    case 10:
      return Config{AnyFlag(), AnyDuration(), AnyDuration(), *rc::gen::arbitrary<std::uint32_t>()};
    case 11:
      return Grant{{AnyU64()}, AnyDuration(), {{AnyU64(), AnyU64(), AnyU64(), AnyU64()}}};
    case 12:
      return Expired{{AnyU64()}};
    case 13:
      return Refused{AnyText(kMaxText)};
    case 14:
      return ControlReply{AnyFlag(), AnyFlag(), AnyBytes()};
    case 15:
      return Forwarded{AnyDuration()};
    case 16:
      return Uses{AnyPaths()};
    case 17:
      return Serves{AnyText(kMaxSocketPath)};
    case 18:
      return Assign{AnyPaths()};
    case 19:
      return Exceeded{*rc::gen::arbitrary<std::uint32_t>(), *rc::gen::arbitrary<std::uint32_t>(),
                      AnyFlag()};
    default:
      return RetryAfter{AnyDuration(), AnyText(kMaxText)};
  }
}

RC_GTEST_PROP(CodecProperty, DecodeUndoesEncode, ()) {
  for (std::size_t kind = 0; kind < std::variant_size_v<Message>; ++kind) {
    const Message message = AnyMessage(kind);
    std::vector<std::byte> packet;
    RC_ASSERT(message.index() == kind);
    RC_ASSERT(Encode(message, &packet));
    RC_ASSERT(Decode(packet) == message);

    std::array<std::byte, kMaxPacket> buffer;
    const std::size_t size = Encode(message, std::span(buffer));
    const auto end = buffer.begin() + static_cast<std::ptrdiff_t>(size);
    RC_ASSERT(std::vector(buffer.begin(), end) == packet);
  }
}

// What a newer peer has appended is skipped, and the known fields are those it sent.
RC_GTEST_PROP(CodecProperty, TheKnownFieldsOfANewerPeersMessageEncodeToItsFirstBytes, ()) {
  for (std::size_t kind = 0; kind < std::variant_size_v<Message>; ++kind) {
    const Message message = AnyMessage(kind);
    std::vector<std::byte> known;
    RC_ASSERT(Encode(message, &known));
    const std::string more = *rc::gen::nonEmpty(rc::gen::arbitrary<std::string>());
    const std::vector<std::byte> packet = Appended(known, more);
    std::size_t appended = 0;
    const auto decoded = Decode(packet, &appended);
    if (!MayGrow(message)) {
      RC_ASSERT(!decoded);
      continue;
    }
    RC_ASSERT(decoded == message);
    RC_ASSERT(appended == more.size());
    std::vector<std::byte> again;
    RC_ASSERT(Encode(*decoded, &again));
    RC_ASSERT(again == known);
  }
}

RC_GTEST_PROP(CodecProperty, CleanTextIsAlwaysSendable, ()) {
  const std::string bytes = AnyBytes();
  const std::string clean = CleanText(bytes, kMaxName);
  RC_ASSERT(IsText(clean));
  RC_ASSERT(clean.size() <= kMaxName);
  if (IsText(bytes) && bytes.size() <= kMaxName) RC_ASSERT(clean == bytes);
}

}  // namespace
}  // namespace stagger::wire
