// What is to happen to calls beyond the rate that a stream needs, as users write it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace stagger {

// The wire and recordings hold the numbers: new ones go last.
enum class Excess : std::uint8_t {
  kPace,   // a call waits for the stream's next slot
  kReuse,  // it returns the outputs of the call before
  kPass,   // it goes through
};
inline constexpr Excess kLastExcess = Excess::kPass;
inline constexpr const char* kExcessNames = "'pace', 'reuse' or 'pass'";

inline constexpr const char* ToString(Excess excess) {
  switch (excess) {
    case Excess::kPace:
      return "pace";
    case Excess::kReuse:
      return "reuse";
    case Excess::kPass:
      return "pass";
  }
  return "?";
}

inline constexpr std::optional<Excess> ParseExcess(std::string_view text) {
  for (const Excess excess : {Excess::kPace, Excess::kReuse, Excess::kPass}) {
    if (text == ToString(excess)) return excess;
  }
  return std::nullopt;
}

}  // namespace stagger
