// One valid packet of each message type, and its bytes written down by hand (by a script that
// knows only codec.h's description): the format cannot change unnoticed.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "wire/messages.h"

namespace stagger::wire {

struct Sample {
  Message message;
  std::string_view hex;
};

std::vector<Sample> Samples();
std::vector<std::byte> FromHex(std::string_view hex);

// The packet as a newer peer would send it: `more` stands behind its fields, and its header says
// so.
std::vector<std::byte> Appended(std::vector<std::byte> packet, std::string_view more);
// Whether a newer peer may append to such a message.
bool MayGrow(const Message& message);

}  // namespace stagger::wire
