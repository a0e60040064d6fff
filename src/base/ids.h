// Strong ids. Two ids of different kinds don't convert, compare or mix.
#pragma once

#include <compare>
#include <cstdint>

namespace stagger {

template <typename Tag, typename Rep>
struct Id {
  Rep value{};
  friend auto operator<=>(Id, Id) = default;
};

using ClientId = Id<struct ClientTag, std::uint64_t>;  // one connection to the daemon; never reused
using TurnSeq = Id<struct TurnTag, std::uint64_t>;     // the client's own number for a request
using DeviceId = Id<struct DeviceTag, std::uint32_t>;  // index into the daemon's device table

}  // namespace stagger
