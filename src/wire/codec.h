// Message <-> bytes. Explicit little-endian, no casts of structs, no allocation beyond the
// strings and lists themselves. Layout: u16 type, u16 reserved (0), u32 payload length, payload
// (the message's fields in order; text is u16 length + bytes, a list is u8 count + items, a
// duration is i64 nanoseconds, a flag is one byte). Pure and thread-safe. Canonical in the fields
// that this version knows: Decode accepts exactly what Encode produces, and wrong lengths, unknown
// types, over-long or ill-formed text and lists, negative or absurd durations and flags other than
// 0/1 are errors. Behind those fields, agent messages may have what a newer peer has appended:
// Decode skips it. In Control, ControlReply and Refused, trailing bytes are an error.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "wire/messages.h"

namespace stagger::wire {

// Writes the packet to the front of `out` and returns its size. 0 if a field exceeds its bound or
// `out` is too short (kMaxShortPacket suffices for everything but Control and ControlReply).
// Allocates nothing.
std::size_t Encode(const Message& message, std::span<std::byte> out);

// Appends the packet. Appends nothing and returns false if a field exceeds its bound.
bool Encode(const Message& message, std::vector<std::byte>* out);

// nullopt for anything malformed. Never reads outside `packet`, never throws. `appended`, unless
// null, is how many bytes were skipped, which a newer peer has appended.
std::optional<Message> Decode(std::span<const std::byte> packet, std::size_t* appended = nullptr);

// A Hello, Control or Welcome of another protocol version, of which nothing but the version can be
// understood: that message with its version and defaults elsewhere. nullopt for anything else,
// our own version included.
std::optional<Message> DecodeForeign(std::span<const std::byte> packet);

// "Request", "Grant" ... for logs.
const char* NameOf(const Message& message);

}  // namespace stagger::wire
