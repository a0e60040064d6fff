// ExecutorMessage <-> packets, with descriptors beside them. The rules of wire/codec.h and
// wire/channel.h hold: canonical, bounded, nothing blocks, prints or throws.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "wire/channel.h"
#include "wire/executor_messages.h"

namespace stagger::wire {

inline constexpr std::size_t kMaxDescriptors = 3;
using Descriptors = std::array<UniqueFd, kMaxDescriptors>;  // those that came are in front

// Empty if a field exceeds its bound.
std::vector<std::byte> EncodeForExecutor(const ExecutorMessage& message);
std::optional<ExecutorMessage> DecodeForExecutor(std::span<const std::byte> packet);

// One packet. `descriptors`: at most kMaxDescriptors; the receiver gets copies.
Io Send(int fd, const ExecutorMessage& message, std::span<const int> descriptors = {});

// One packet and what came along. More descriptors than are expected in any message are malformed.
Io Receive(int fd, ExecutorMessage* message, Descriptors* descriptors);

// The same for the agent, on stacks that belong to somebody else: Open and Told are malformed
// here. `descriptors` may be null where none are expected.
Io ReceiveShort(int fd, ExecutorMessage* message, Descriptors* descriptors);
// Waits for it, as long as the socket's SO_RCVTIMEO says: kWouldBlock then, or when a signal came.
Io AwaitShort(int fd, ExecutorMessage* message);

}  // namespace stagger::wire
