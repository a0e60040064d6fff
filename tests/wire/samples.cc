#include "wire/samples.h"

#include <charconv>
#include <numeric>

namespace stagger::wire {
namespace {

using std::chrono::milliseconds;

CoreMask Cores() {
  CoreMask mask;
  for (const unsigned cpu : {0U, 2U, 255U}) mask.Set(cpu);
  return mask;
}

GpuUuid Counting() {
  GpuUuid uuid;
  std::iota(uuid.begin(), uuid.end(), std::uint8_t{0});
  return uuid;
}

GpuUuid Ones() {
  GpuUuid uuid;
  uuid.fill(0xff);
  return uuid;
}

}  // namespace

std::vector<Sample> Samples() {
  return {
      {Hello{6,
             {.name = "gate-1\u00e9",
              .required_fps = 10,
              .deadline = milliseconds{100},
              .weight = 1.5,
              .min_fps = 2,
              .excess = Excess::kReuse},
             0x8000000000000005},
       "010000002500000006000800676174652d31c3a910270000a0860100dc050000d007000001"
       "0500000000000080"},
      {Request{{0x0102030405060708},
               {2},
               std::chrono::microseconds{1'500},
               true,
               false,
               milliseconds{3},
               milliseconds{61}},
       "020000002600000008070605040302010200000060e31600000000000100"
       "c0c62d000000000040c9a20300000000"},
      {Release{{9}, milliseconds{48}, milliseconds{2}, milliseconds{61}},
       "03000000200000000900000000000000006cdc020000000080841e000000000040c9a20300000000"},
      {Ended{{2}, milliseconds{3}, milliseconds{61}},
       "070000001400000002000000c0c62d000000000040c9a20300000000"},
      {Cancel{{10}}, "04000000080000000a00000000000000"},
      {Claim{{11}, kCpuDevice, kMaxDuration},
       "05000000140000000b000000000000000000000000a0b83046030000"},
      {Ungated{4}, "060000000400000004000000"},
      {Faulted{{1}, 700}, "080000000800000001000000bc020000"},
      {Control{6, "policy", "{\"k\":2}"}, "100000001300000006000600706f6c69637907007b226b223a327d"},
      {Welcome{6, {0xfedcba9876543210}, {{{1}, Counting()}, {{kMaxDevice}, Ones()}}, 4},
       "200000003b00000006001032547698badcfe02"
       "01000000000102030405060708090a0b0c0d0e0f"
       "ff000000ffffffffffffffffffffffffffffffff"
       "0400000000000000"},
      {Config{false, milliseconds{250}, milliseconds{100}, 0b10},
       "21000000150000000080b2e60e0000000000e1f5050000000002000000"},
      {Grant{{12}, milliseconds{100}, Cores()},
       "22000000300000000c0000000000000000e1f50500000000"
       "0500000000000000000000000000000000000000000000000000000000000080"},
      {Expired{{13}}, "23000000080000000d00000000000000"},
      {Refused{"version 2"}, "240000000b000000090076657273696f6e2032"},
      {ControlReply{true, false, "{}"}, "3000000006000000010002007b7d"},
      {Forwarded{milliseconds{61}}, "0a0000000800000040c9a20300000000"},
      {Uses{{"/e0"}}, "0b000000060000000103002f6530"},
      {Serves{"/e0"}, "0c0000000500000003002f6530"},
      {Assign{{"/e0"}, {"/e1"}}, "250000000c0000000103002f65300103002f6531"},
      {Exceeded{26, 3, true}, "09000000090000001a0000000300000001"},
      {RetryAfter{milliseconds{5000}, "full"}, "260000000e00000000f2052a01000000040066756c6c"},
  };
}

std::vector<std::byte> FromHex(std::string_view hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned value = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

std::vector<std::byte> Appended(std::vector<std::byte> packet, std::string_view more) {
  for (const char c : more) packet.push_back(static_cast<std::byte>(c));
  const std::size_t length = packet.size() - 8;
  for (std::size_t i = 0; i < 4; ++i) packet[4 + i] = static_cast<std::byte>(length >> (8 * i));
  return packet;
}

bool MayGrow(const Message& message) {
  return !std::holds_alternative<Control>(message) &&
         !std::holds_alternative<ControlReply>(message) &&
         !std::holds_alternative<Refused>(message);
}

}  // namespace stagger::wire
