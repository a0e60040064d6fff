#include "agent/hooks/split.h"

#include <algorithm>
#include <cstring>

#include "agent/hooks/forward.h"

namespace stagger::agent {
namespace {

constexpr std::size_t kMostParts = 16;

// How many items the call brings; 0 if its inputs don't agree.
std::int64_t ItemsOf(const wire::Layout& layout) {
  std::int64_t items = 0;
  for (const wire::TensorPlace& place : std::span(layout.tensors).first(layout.count)) {
    if (place.rank == 0 || (items != 0 && place.dims[0] != items)) return 0;
    items = place.dims[0];
  }
  return items;
}

Request Slice(const Request& whole, std::int64_t first, std::int64_t items, std::int64_t all) {
  Request part = whole;
  for (std::uint32_t i = 0; i < part.layout.count; ++i) {
    wire::TensorPlace& place = part.layout.tensors[i];
    const std::uint64_t item = place.bytes / static_cast<std::uint64_t>(all);
    place.dims[0] = items;
    place.bytes = item * static_cast<std::uint64_t>(items);
    part.data[i] += item * static_cast<std::uint64_t>(first);
  }
  Arrange(&part);
  return part;
}

// Puts the parts' outputs one behind the other.
bool Join(const OrtApi& api, const Call& call, const std::vector<Part>& parts) {
  std::vector<wire::Layout> answers(parts.size());
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (!ReadAnswer(parts[p].request.layout, *parts[p].slot, &answers[p])) return false;
  }
  std::array<bool, wire::kMaxTensors> made{};
  bool good = true;
  for (std::uint32_t i = 0; good && i < answers[0].count; ++i) {
    wire::TensorPlace all = answers[0].tensors[i];
    for (std::size_t p = 1; p < parts.size(); ++p) {
      const wire::TensorPlace& place = answers[p].tensors[i];
      good = good && place.rank == all.rank && place.rank > 0 && place.type == all.type;
      all.dims[0] += place.dims[0];
      all.bytes += place.bytes;
    }
    std::byte* to = good ? PrepareOutput(api, call, i, all, &made[i]) : nullptr;
    good = to != nullptr;
    for (std::size_t p = 0; good && p < parts.size(); ++p) {
      const wire::TensorPlace& place = answers[p].tensors[i];
      std::memcpy(to, parts[p].slot->output() + place.offset, place.bytes);
      to += place.bytes;
    }
  }
  for (std::uint32_t i = 0; !good && i < answers[0].count; ++i) {
    if (!made[i]) continue;
    api.ReleaseValue(call.outputs[i]);
    call.outputs[i] = nullptr;
  }
  return good;
}

}  // namespace

Sent Begin(Forwarded& forwarded, Part* part) {
  while (std::unique_ptr<ExecutorSlot> slot = forwarded.remote.Acquire()) {
    if (!CopyInputs(part->request, slot.get())) {
      forwarded.remote.Return(std::move(slot));
      return Sent::kNoRoom;
    }
    if (slot->Start(DueTime())) {
      part->slot = std::move(slot);
      return Sent::kUnderWay;
    }
    forwarded.remote.Lose(std::move(slot));
  }
  return Sent::kNobody;
}

bool End(Forwarded& forwarded, Part* part) {
  while (part->slot) {
    const ExecutorSlot::Outcome outcome = part->slot->Await();
    if (outcome != ExecutorSlot::Outcome::kLost) return outcome == ExecutorSlot::Outcome::kDone;
    forwarded.remote.Lose(std::move(part->slot));
    Begin(forwarded, part);
  }
  return false;
}

void Release(Forwarded& forwarded, Part* part) {
  if (part->slot) forwarded.remote.Return(std::move(part->slot));
}

bool RunSplit(Forwarded& forwarded, const Call& call, const Request& request) {
  const std::int64_t items = ItemsOf(request.layout);
  const std::size_t count = std::min({forwarded.remote.executors(), kMostParts,
                                      static_cast<std::size_t>(std::max<std::int64_t>(items, 0))});
  if (!forwarded.remote.batch() || count < 2) return false;
  std::vector<Part> parts(count);
  std::int64_t first = 0;
  bool good = true;
  for (std::size_t p = 0; p < count; ++p) {
    const auto end = static_cast<std::int64_t>((p + 1) * static_cast<std::size_t>(items) / count);
    parts[p].request = Slice(request, first, end - first, items);
    first = end;
    good = good && Begin(forwarded, &parts[p]) == Sent::kUnderWay;
  }
  // What has begun is awaited in any case: a slot goes back idle, or not at all.
  for (Part& part : parts) {
    if (part.slot) good = End(forwarded, &part) && good;
  }
  good = good && Join(*forwarded.runtime.api, call, parts);
  for (Part& part : parts) Release(forwarded, &part);
  return good;
}

}  // namespace stagger::agent
