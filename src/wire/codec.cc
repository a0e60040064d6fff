#include "wire/codec.h"

#include <algorithm>
#include <vector>

#include "wire/frame.h"

namespace stagger::wire {

// The numbers are the format: they are never reused, and tests hold golden bytes of each.
#define STAGGER_MESSAGE(message, ...) \
  template <>                         \
  constexpr Kind kKind<message> {     \
#message, __VA_ARGS__             \
  }
STAGGER_MESSAGE(Hello, 1);
STAGGER_MESSAGE(Request, 2);
STAGGER_MESSAGE(Release, 3);
STAGGER_MESSAGE(Cancel, 4);
STAGGER_MESSAGE(Claim, 5);
STAGGER_MESSAGE(Ungated, 6);
STAGGER_MESSAGE(Ended, 7);
STAGGER_MESSAGE(Faulted, 8);
STAGGER_MESSAGE(Exceeded, 9);
STAGGER_MESSAGE(Forwarded, 10);
STAGGER_MESSAGE(Uses, 11);
STAGGER_MESSAGE(Serves, 12);
STAGGER_MESSAGE(Control, 16, false);
STAGGER_MESSAGE(Welcome, 32);
STAGGER_MESSAGE(Config, 33);
STAGGER_MESSAGE(Grant, 34);
STAGGER_MESSAGE(Expired, 35);
STAGGER_MESSAGE(Assign, 37);
STAGGER_MESSAGE(RetryAfter, 38);
STAGGER_MESSAGE(ControlReply, 48, false);

// Each message's fields, once, for both directions.
template <typename A>
void Fields(A& a, Ref<A, Hello> m) {
  a.Number(m.version);
  a.Text(m.spec.name, kMaxName);
#define STAGGER_TOLD_SETTING(field, told, type, unset, flag, variable, low, high, ...) \
  a.Thousandths(m.spec.told, std::min<double>(low, unset), high);
#define STAGGER_LATER_SETTING(...)
#include "base/stream_settings.inc"
  a.Choice(m.spec.excess, kLastExcess);
  a.Number(m.features);
#define STAGGER_LATER_SETTING(field, told, type, unset, flag, variable, low, high, ...) \
  if (!a.More()) return;                                                                \
  a.Thousandths(m.spec.told, std::min<double>(low, unset), high);
#define STAGGER_TOLD_SETTING(...)
#include "base/stream_settings.inc"
}
template <typename A>
void Fields(A& a, Ref<A, Request> m) {
  All(a, m.seq, m.device, m.since_call, m.gated, m.exclusive, m.post, m.call);
}
template <typename A>
void Fields(A& a, Ref<A, Release> m) {
  All(a, m.seq, m.body, m.wait, m.call);
}
template <typename A>
void Fields(A& a, Ref<A, Ended> m) {
  All(a, m.device, m.post, m.call);
}
template <typename A>
void Fields(A& a, Ref<A, Cancel> m) {
  All(a, m.seq);
}
template <typename A>
void Fields(A& a, Ref<A, Claim> m) {
  All(a, m.seq, m.device, m.held);
}
template <typename A>
void Fields(A& a, Ref<A, Ungated> m) {
  All(a, m.warmup);
}
template <typename A>
void Fields(A& a, Ref<A, Faulted> m) {
  All(a, m.device);
  a.Number(m.code, 1U, kMaxCode);
}
template <typename A>
void Fields(A& a, Ref<A, Exceeded> m) {
  All(a, m.skipped, m.deferred, m.refused);
}
template <typename A>
void Fields(A& a, Ref<A, Control> m) {
  All(a, m.version);
  a.Text(m.verb, kMaxText);
  a.Bytes(m.body, kMaxChunk);
}
template <typename A>
void Fields(A& a, Ref<A, Welcome> m) {
  All(a, m.version, m.client);
  a.Count(m.gpus, kMaxGpus);
  for (auto& gpu : m.gpus) {
    a.Number(gpu.device.value, 1U, kMaxDevice);
    a.Raw(gpu.uuid);
  }
  All(a, m.features);
}
template <typename A>
void Fields(A& a, Ref<A, Config> m) {
  All(a, m.gating, m.wait_bound, m.period, m.exclusive);
}
template <typename A>
void Fields(A& a, Ref<A, Grant> m) {
  All(a, m.seq, m.lease);
  for (auto& word : m.cores.words) a.Number(word);
}
template <typename A>
void Fields(A& a, Ref<A, Expired> m) {
  All(a, m.seq);
}
template <typename A>
void Fields(A& a, Ref<A, ControlReply> m) {
  All(a, m.ok, m.more);
  a.Bytes(m.chunk, kMaxChunk);
}
template <typename A, typename Paths>
void SocketPaths(A& a, Paths& paths) {
  a.Count(paths, kMaxExecutors);
  for (auto& path : paths) a.Text(path, kMaxSocketPath);
}
template <typename A>
void Fields(A& a, Ref<A, Forwarded> m) {
  All(a, m.call);
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
  All(a, m.after);
  a.Text(m.reason, kMaxText);
}
template <typename A>
void Fields(A& a, Ref<A, Assign> m) {
  SocketPaths(a, m.executors);
  SocketPaths(a, m.standby);
}

std::size_t Encode(const Message& message, std::span<std::byte> out) {
  const std::size_t needed = WritePacket(message, out);
  return needed <= out.size() ? needed : 0;
}

bool Encode(const Message& message, std::vector<std::byte>* out) {
  const std::size_t needed = WritePacket(message, {});
  if (needed == 0) return false;
  const std::size_t before = out->size();
  out->resize(before + needed);
  WritePacket(message, std::span(*out).subspan(before));
  return true;
}

std::optional<Message> Decode(std::span<const std::byte> packet, std::size_t* appended) {
  std::size_t skipped = 0;
  auto message = ReadPacket<Message>(packet, &skipped);
  if (appended != nullptr) *appended = skipped;
  return message;
}

std::optional<Message> DecodeForeign(std::span<const std::byte> packet) {
  const std::uint16_t type = TakeHeader(&packet);
  std::uint16_t version = kProtocolVersion;
  Reader(packet).Number(version);
  if (version == kProtocolVersion) return std::nullopt;
  if (type == kKind<Hello>.number) return Hello{.version = version};
  if (type == kKind<Control>.number) return Control{.version = version};
  if (type == kKind<Welcome>.number) return Welcome{.version = version};
  return std::nullopt;
}

const char* NameOf(const Message& message) {
  return std::visit([]<typename M>(const M&) { return kKind<M>.name; }, message);
}

}  // namespace stagger::wire
