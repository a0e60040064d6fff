#include "agent/forward/executor_slot.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <variant>

#include "agent/report.h"
#include "base/clock.h"
#include "wire/channel.h"
#include "wire/executor_channel.h"
#include "wire/timers.h"

namespace stagger::agent {
namespace {

constexpr Duration kGreeting = std::chrono::seconds{5};
constexpr Duration kLongestLoad = std::chrono::seconds{120};
// An executor that does not answer for longer than kExecutorPatience, and than twenty times the
// longest inference so far, hangs.
constexpr int kPatienceFactor = 20;

bool AwaitReadable(int fd, TimePoint until) {
  const Duration left = until - Now();
  if (left <= Duration::zero()) return false;
  pollfd entry{fd, POLLIN, 0};
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  poll(&entry, 1, static_cast<int>(std::min<long long>(ms, 1000)));
  return true;
}

// Reads that are to wait do, up to a second: so often it is looked whether it has been too long.
bool WaitsInReads(int fd) {
  const timeval second{.tv_sec = 1, .tv_usec = 0};
  int no = 0;
  return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) == 0 &&
         ioctl(fd, FIONBIO, &no) == 0;
}

}  // namespace

ExecutorSlot::Opening ExecutorSlot::Open(const std::string& socket, const wire::Open& open,
                                         std::span<const std::byte> model, bool want_files,
                                         const std::atomic<bool>* give_up) {
  Opening opening;
  Result<UniqueFd> connected = wire::Connect(socket);
  if (!connected) {
    opening.reason = "no executor at " + socket;
    return opening;
  }
  if (!WaitsInReads(connected->get())) {
    opening.reason = "no reads that wait on a socket here";
    return opening;
  }
  std::unique_ptr<ExecutorSlot> slot(new ExecutorSlot(std::move(*connected)));
  wire::ExecutorMessage message = open;
  wire::Descriptors files;
  if (wire::Send(slot->socket_.get(), message) != wire::Io::kOk) {
    opening.reason = "the executor at " + socket + " takes no greeting";
    return opening;
  }
  // The executor answers at once if it has no such model, and after the load otherwise.
  TimePoint until = Now() + kLongestLoad;
  while (true) {
    const int fd = slot->socket_.get();
    const wire::Io io = fd < 0 ? wire::Io::kClosed : wire::ReceiveShort(fd, &message, &files);
    if (io == wire::Io::kWouldBlock) {
      const bool given_up = give_up != nullptr && give_up->load();
      if (!given_up && AwaitReadable(fd, until)) continue;
      opening.reason = "the executor at " + socket + " does not answer";
      return opening;
    }
    if (io != wire::Io::kOk) {
      opening.reason = "the executor at " + socket + " hung up";
      return opening;
    }
    if (std::holds_alternative<wire::WantModel>(message)) {
      const UniqueFd bytes = SealedCopy(model);
      if (!bytes.valid()) {
        opening.reason = "no memory to send the model to an executor";
        return opening;
      }
      const int descriptors[] = {bytes.get()};
      message = open;
      if (wire::Send(fd, message, descriptors) == wire::Io::kOk) continue;
      opening.reason = "the executor at " + socket + " hung up";
      return opening;
    }
    if (auto* refused = std::get_if<wire::Refused>(&message)) {
      opening.refused = true;
      opening.reason = refused->reason;
      return opening;
    }
    break;
  }
  const auto* opened = std::get_if<wire::Opened>(&message);
  if (opened == nullptr || SizeOf(files[0].get()) != opened->input_bytes + opened->output_bytes) {
    opening.reason = "the executor at " + socket + " answers with something else";
    return opening;
  }
  slot->arena_ = Mapping::OfFile(files[0].get(), SizeOf(files[0].get()), true);
  slot->input_bytes_ = opened->input_bytes;
  slot->output_bytes_ = opened->output_bytes;
  slot->input_reserved_ = opened->input_reserved;
  if (want_files) {
    opening.model = Mapping::OfFile(files[1].get(), SizeOf(files[1].get()), false);
    opening.stub = Mapping::OfFile(files[2].get(), SizeOf(files[2].get()), false);
  }
  if (!slot->arena_.valid() || (want_files && (!opening.model.valid() || !opening.stub.valid()))) {
    opening.reason = "no memory to share with the executor";
    return opening;
  }
  slot->reported_ = ReportExecutor(socket);
  opening.batch = opened->batch;
  opening.slot = std::move(slot);
  return opening;
}

bool ExecutorSlot::AwaitMessage(TimePoint until, wire::ExecutorMessage* message) {
  while (true) {
    const int fd = socket_.get();
    if (fd < 0 || Now() >= until) return false;
    // Waiting and reading in one: this is on the way of every inference.
    const wire::Io io = wire::AwaitShort(fd, message);
    if (io == wire::Io::kOk) return true;
    if (io != wire::Io::kWouldBlock) return false;
  }
}

bool ExecutorSlot::Reserve(std::uint64_t input_bytes) {
  if (input_bytes <= input_reserved_) return true;
  if (input_bytes > input_bytes_) return false;
  const int fd = socket_.get();
  wire::ExecutorMessage message = wire::Reserve{input_bytes};
  if (fd < 0 || wire::Send(fd, message) != wire::Io::kOk) return false;
  if (!AwaitMessage(Now() + kGreeting, &message)) return false;
  const auto* reserved = std::get_if<wire::Reserved>(&message);
  if (reserved == nullptr || reserved->input_reserved > input_bytes_) return false;
  input_reserved_ = reserved->input_reserved;
  return input_bytes <= input_reserved_;
}

bool ExecutorSlot::Start(Duration due) {
  const int fd = socket_.get();
  const wire::ExecutorMessage infer = wire::Infer{.seq = ++seq_, .due = wire::Bounded(due)};
  return fd >= 0 && wire::Send(fd, infer) == wire::Io::kOk;
}

ExecutorSlot::Outcome ExecutorSlot::Await() {
  const TimePoint start = Now();
  const TimePoint until = start + std::max(wire::kExecutorPatience, longest_ * kPatienceFactor);
  wire::ExecutorMessage message;
  if (!AwaitMessage(until, &message)) return Outcome::kLost;
  const auto* inferred = std::get_if<wire::Inferred>(&message);
  if (inferred == nullptr || inferred->seq != seq_) return Outcome::kLost;
  longest_ = std::max(longest_, Now() - start);
  if (inferred->ok) CountExecutor(reported_);
  return inferred->ok ? Outcome::kDone : Outcome::kFailed;
}

}  // namespace stagger::agent
