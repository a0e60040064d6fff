// A packet around a message's fields, for both codecs: u16 type, u16 reserved (0), u32 length of
// the fields. Internal to wire; pure and thread-safe. Each codec lists its messages' kinds and
// fields before it writes or reads one.
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "wire/fields.h"

namespace stagger::wire {

inline constexpr std::size_t kHeaderSize = 8;

struct Kind {
  const char* name = nullptr;
  std::uint16_t number = 0;
  bool grows = true;  // a newer peer may append to it
};
template <typename M>
inline constexpr Kind kKind{};

// The same whatever is asked, and whichever version.
template <>
inline constexpr Kind kKind<Refused>{"Refused", 36, false};
template <typename A>
void Fields(A& a, Ref<A, Refused> m) {
  a.Text(m.reason, kMaxText);
}

// The size the packet needs, whether or not it fits; 0 if a field exceeds its bound.
template <typename... M>
std::size_t WritePacket(const std::variant<M...>& message, std::span<std::byte> out) {
  static_assert(((kKind<M>.number != 0) && ...), "a message without a number");
  return std::visit(
      [out]<typename One>(const One& m) -> std::size_t {
        Writer payload(out.size() > kHeaderSize ? out.subspan(kHeaderSize) : out.first(0));
        Fields(payload, m);
        if (!payload.ok()) return 0;
        Writer header(out);
        header.Number(kKind<One>.number);
        header.Number<std::uint16_t>(0);
        header.Number(static_cast<std::uint32_t>(payload.size()));
        return kHeaderSize + payload.size();
      },
      message);
}

// The packet's type, its payload left in `packet`; 0 (no type's number) if the header is wrong.
inline std::uint16_t TakeHeader(std::span<const std::byte>* packet) {
  std::uint16_t type = 0;
  std::uint16_t reserved = 0;
  std::uint32_t length = 0;
  Reader header(*packet);
  header.Number(type);
  header.Number<std::uint16_t>(reserved, 0, 0);
  header.Number(length);
  if (!header.ok() || packet->size() > kMaxPacket || length != packet->size() - kHeaderSize) {
    return 0;
  }
  *packet = packet->subspan(kHeaderSize);
  return type;
}

template <typename M, typename Message>
bool ReadAs(std::uint16_t type, std::span<const std::byte> payload, Message* message,
            std::size_t* appended) {
  if (type != kKind<M>.number) return false;
  M m;
  Reader reader(payload);
  Fields(reader, m);
  if (!reader.ok() || (reader.left() > 0 && !kKind<M>.grows)) return false;
  *message = std::move(m);
  *appended = reader.left();
  return true;
}

template <typename... M>
bool ReadAny(std::uint16_t type, std::span<const std::byte> payload, std::variant<M...>* message,
             std::size_t* appended) {
  return (ReadAs<M>(type, payload, message, appended) || ...);
}

// nullopt for anything malformed; `appended`: how many bytes behind the known fields were skipped.
template <typename Message>
std::optional<Message> ReadPacket(std::span<const std::byte> packet, std::size_t* appended) {
  const std::uint16_t type = TakeHeader(&packet);
  std::optional<Message> message(std::in_place);
  if (!ReadAny(type, packet, &*message, appended)) message.reset();
  return message;
}

}  // namespace stagger::wire
