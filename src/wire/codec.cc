#include "wire/codec.h"

#include <vector>

#include "wire/fields.h"

namespace stagger::wire {
namespace {

constexpr std::size_t kHeaderSize = 8;

// The numbers are the format: they are never reused, and tests hold golden bytes of each.
template <typename M>
constexpr std::uint16_t kType = 0;
template <>
constexpr std::uint16_t kType<Hello> = 1;
template <>
constexpr std::uint16_t kType<Request> = 2;
template <>
constexpr std::uint16_t kType<Release> = 3;
template <>
constexpr std::uint16_t kType<Cancel> = 4;
template <>
constexpr std::uint16_t kType<Claim> = 5;
template <>
constexpr std::uint16_t kType<Ungated> = 6;
template <>
constexpr std::uint16_t kType<Ended> = 7;
template <>
constexpr std::uint16_t kType<Faulted> = 8;
template <>
constexpr std::uint16_t kType<Exceeded> = 9;
template <>
constexpr std::uint16_t kType<Forwarded> = 10;
template <>
constexpr std::uint16_t kType<Uses> = 11;
template <>
constexpr std::uint16_t kType<Serves> = 12;
template <>
constexpr std::uint16_t kType<Control> = 16;
template <>
constexpr std::uint16_t kType<Welcome> = 32;
template <>
constexpr std::uint16_t kType<Config> = 33;
template <>
constexpr std::uint16_t kType<Grant> = 34;
template <>
constexpr std::uint16_t kType<Expired> = 35;
template <>
constexpr std::uint16_t kType<Refused> = 36;
template <>
constexpr std::uint16_t kType<Assign> = 37;
template <>
constexpr std::uint16_t kType<RetryAfter> = 38;
template <>
constexpr std::uint16_t kType<ControlReply> = 48;

// Whether a newer peer may append to it.
template <typename M>
constexpr bool kGrows = true;
template <>
constexpr bool kGrows<Control> = false;
template <>
constexpr bool kGrows<ControlReply> = false;
template <>
constexpr bool kGrows<Refused> = false;

// Each message's fields, once, for both directions.
template <typename A>
void Fields(A& a, Ref<A, Hello> m) {
  a.Number(m.version);
  a.Text(m.name, kMaxName);
  a.Number(m.fps_milli, 0U, kMaxFpsMilli);
  a.Number(m.deadline_us, 0U, kMaxDeadlineUs);
  a.Number(m.weight_milli, 1U, kMaxWeightMilli);
  a.Number(m.min_fps_milli, 0U, kMaxFpsMilli);
  a.Choice(m.excess, kLastExcess);
  a.Number(m.features);
}
template <typename A>
void Fields(A& a, Ref<A, Request> m) {
  a.Number(m.seq.value);
  a.Number(m.device.value, 0U, kMaxDevice);
  a.Time(m.since_call);
  a.Flag(m.gated);
  a.Flag(m.sole);
  a.Time(m.post);
  a.Time(m.call);
}
template <typename A>
void Fields(A& a, Ref<A, Release> m) {
  a.Number(m.seq.value);
  a.Time(m.body);
  a.Time(m.wait);
  a.Time(m.call);
}
template <typename A>
void Fields(A& a, Ref<A, Ended> m) {
  a.Number(m.device.value, 0U, kMaxDevice);
  a.Time(m.post);
  a.Time(m.call);
}
template <typename A>
void Fields(A& a, Ref<A, Cancel> m) {
  a.Number(m.seq.value);
}
template <typename A>
void Fields(A& a, Ref<A, Claim> m) {
  a.Number(m.seq.value);
  a.Number(m.device.value, 0U, kMaxDevice);
  a.Time(m.held);
}
template <typename A>
void Fields(A& a, Ref<A, Ungated> m) {
  a.Number(m.warmup);
}
template <typename A>
void Fields(A& a, Ref<A, Faulted> m) {
  a.Number(m.device.value, 0U, kMaxDevice);
  a.Number(m.code, 1U, kMaxCode);
}
template <typename A>
void Fields(A& a, Ref<A, Exceeded> m) {
  a.Number(m.skipped);
  a.Number(m.held);
  a.Flag(m.refused);
}
template <typename A>
void Fields(A& a, Ref<A, Control> m) {
  a.Number(m.version);
  a.Text(m.verb, kMaxText);
  a.Bytes(m.body, kMaxChunk);
}
template <typename A>
void Fields(A& a, Ref<A, Welcome> m) {
  a.Number(m.version);
  a.Number(m.client.value);
  a.Count(m.gpus, kMaxGpus);
  for (auto& gpu : m.gpus) {
    a.Number(gpu.device.value, 1U, kMaxDevice);
    a.Raw(gpu.uuid);
  }
  a.Number(m.features);
}
template <typename A>
void Fields(A& a, Ref<A, Config> m) {
  a.Flag(m.gating);
  a.Time(m.wait_bound);
  a.Time(m.period);
  a.Number(m.sole);
}
template <typename A>
void Fields(A& a, Ref<A, Grant> m) {
  a.Number(m.seq.value);
  a.Time(m.lease);
  for (auto& word : m.cores.words) a.Number(word);
}
template <typename A>
void Fields(A& a, Ref<A, Expired> m) {
  a.Number(m.seq.value);
}
template <typename A>
void Fields(A& a, Ref<A, Refused> m) {
  a.Text(m.reason, kMaxText);
}
template <typename A>
void Fields(A& a, Ref<A, ControlReply> m) {
  a.Flag(m.ok);
  a.Flag(m.more);
  a.Bytes(m.chunk, kMaxChunk);
}

template <typename A, typename Paths>
void SocketPaths(A& a, Paths& paths) {
  a.Count(paths, kMaxExecutors);
  for (auto& path : paths) a.Text(path, kMaxSocketPath);
}
template <typename A>
void Fields(A& a, Ref<A, Forwarded> m) {
  a.Time(m.call);
}
template <typename A>
void Fields(A& a, Ref<A, Uses> m) {
  SocketPaths(a, m.executors);
}
template <typename A>
void Fields(A& a, Ref<A, Serves> m) {
  a.Text(m.socket, kMaxSocketPath);
}
template <typename A>
void Fields(A& a, Ref<A, RetryAfter> m) {
  a.Time(m.after);
  a.Text(m.reason, kMaxText);
}
template <typename A>
void Fields(A& a, Ref<A, Assign> m) {
  SocketPaths(a, m.executors);
  SocketPaths(a, m.standby);
}

// The size the packet needs, whether or not it fits; 0 if a field exceeds its bound.
std::size_t Write(const Message& message, std::span<std::byte> out) {
  return std::visit(
      [&]<typename M>(const M& m) -> std::size_t {
        Writer payload(out.size() > kHeaderSize ? out.subspan(kHeaderSize) : out.first(0));
        Fields(payload, m);
        if (!payload.ok()) return 0;
        Writer header(out);
        header.Number(kType<M>);
        header.Number<std::uint16_t>(0);
        header.Number(static_cast<std::uint32_t>(payload.size()));
        return kHeaderSize + payload.size();
      },
      message);
}

template <typename M>
bool DecodeAs(std::uint16_t type, std::span<const std::byte> payload, Message* message,
              std::size_t* appended) {
  if (type != kType<M>) return false;
  M m;
  Reader reader(payload);
  Fields(reader, m);
  if (!reader.ok() || (reader.left() > 0 && !kGrows<M>)) return false;
  *message = std::move(m);
  *appended = reader.left();
  return true;
}

template <typename... M>
bool DecodeAny(std::uint16_t type, std::span<const std::byte> payload, std::variant<M...>* message,
               std::size_t* appended) {
  static_assert(((kType<M> != 0) && ...), "a message without a number");
  return (DecodeAs<M>(type, payload, message, appended) || ...);
}

// The packet's type, its payload left in `packet`; 0 (no type's number) if the header is wrong.
std::uint16_t TakeHeader(std::span<const std::byte>* packet) {
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

}  // namespace

std::size_t Encode(const Message& message, std::span<std::byte> out) {
  const std::size_t needed = Write(message, out);
  return needed <= out.size() ? needed : 0;
}

bool Encode(const Message& message, std::vector<std::byte>* out) {
  const std::size_t needed = Write(message, {});
  if (needed == 0) return false;
  const std::size_t before = out->size();
  out->resize(before + needed);
  Write(message, std::span(*out).subspan(before));
  return true;
}

std::optional<Message> Decode(std::span<const std::byte> packet, std::size_t* appended) {
  const std::uint16_t type = TakeHeader(&packet);
  std::optional<Message> message(std::in_place);
  std::size_t skipped = 0;
  if (!DecodeAny(type, packet, &*message, &skipped)) message.reset();
  if (appended != nullptr) *appended = skipped;
  return message;
}

std::optional<Message> DecodeForeign(std::span<const std::byte> packet) {
  const std::uint16_t type = TakeHeader(&packet);
  std::uint16_t version = kProtocolVersion;
  Reader(packet).Number(version);
  if (version == kProtocolVersion) return std::nullopt;
  const auto with_version = [version]<typename M>(M m) -> Message {
    m.version = version;
    return m;
  };
  if (type == kType<Hello>) return with_version(Hello{});
  if (type == kType<Control>) return with_version(Control{});
  if (type == kType<Welcome>) return with_version(Welcome{});
  return std::nullopt;
}

}  // namespace stagger::wire
