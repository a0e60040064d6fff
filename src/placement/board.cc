#include "placement/board.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

namespace stagger::placement {
namespace {

constexpr std::size_t kLeftTries = 2'000;

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kFitTests = 1'000;   // patterns tried for one stream's place
constexpr std::size_t kRoomDevices = 200;  // tried for making room
constexpr std::size_t kRoomSearches = 12;  // for places of streams that make room
constexpr double kMovedShare = 0.02;       // of all streams, for one change
constexpr int kMostExtraParts = 4;

using KnownPatterns =
    std::set<std::pair<TypeId, const Pattern*>, decltype([](const auto& a, const auto& b) {
               if (a.first != b.first) return a.first < b.first;
               return *a.second < *b.second;
             })>;

void TakeFrom(Pattern& pattern, ClassId of) {
  const auto at = std::ranges::lower_bound(pattern, of, {}, &Portion::of);
  if (--at->count == 0) pattern.erase(at);
}

}  // namespace

Board::Board(std::vector<PlanDevice> devices, bool swapping)
    : devices_(std::move(devices)),
      catalogue_(std::make_unique<Catalogue>(devices_, swapping)),
      test_(*catalogue_),
      costs_(CostOfTypes(*catalogue_)),
      served_(devices_.size()),
      free_(catalogue_->types().size()) {
  // The last of each list is opened first.
  for (std::uint32_t i = static_cast<std::uint32_t>(devices_.size()); i-- > 0;) {
    std::vector<std::uint32_t>& list = free_[type_of(i)];
    served_[i].at = static_cast<std::uint32_t>(list.size());
    list.push_back(i);
  }
}

std::uint32_t Board::Add(const StreamNeed& need) {
  needs_.push_back(need);
  class_of_.push_back(catalogue_->ClassOf(need));
  placed_.emplace_back();
  return static_cast<std::uint32_t>(needs_.size() - 1);
}

void Board::Note(std::uint32_t stream) { log_.emplace_back(stream, placed_[stream]); }

void Board::Join(std::uint32_t stream, std::uint32_t device) {
  Served& served = served_[device];
  if (served.streams.empty()) {
    std::vector<std::uint32_t>& list = free_[type_of(device)];
    served_[list.back()].at = served.at;
    list[served.at] = list.back();
    list.pop_back();
    served.at = static_cast<std::uint32_t>(used_.size());
    used_.push_back(device);
  }
  const StreamClass& its = catalogue_->at(class_of_[stream]);
  AddTo(served.pattern, class_of_[stream], 1);
  served.streams.push_back(stream);
  served.share += its.on[type_of(device)].share;
  served.memory += its.need.memory_gb;
  placed_[stream].push_back(device);
}

void Board::Leave(std::uint32_t stream, std::uint32_t device) {
  Served& served = served_[device];
  const StreamClass& its = catalogue_->at(class_of_[stream]);
  TakeFrom(served.pattern, class_of_[stream]);
  served.streams.erase(std::ranges::find(served.streams, stream));
  served.share -= its.on[type_of(device)].share;
  served.memory -= its.need.memory_gb;
  placed_[stream].erase(std::ranges::find(placed_[stream], device));
  if (!served.streams.empty()) return;
  served.share = served.memory = 0;
  served_[used_.back()].at = served.at;
  used_[served.at] = used_.back();
  used_.pop_back();
  std::vector<std::uint32_t>& list = free_[type_of(device)];
  served.at = static_cast<std::uint32_t>(list.size());
  list.push_back(device);
}

bool Board::Takes(std::uint32_t device, ClassId id) const {
  return test_.RoomFor(type_of(device), served_[device].pattern, id, 1) > 0;
}

bool Board::Serves(std::uint32_t stream, std::uint32_t device) const {
  return std::ranges::count(placed_[stream], device) > 0;
}

bool Board::Put(std::uint32_t stream, const PlacedOn& on) {
  const int parts = static_cast<int>(on.size());
  if (catalogue_->at(class_of_[stream]).parts != parts) {
    const ClassId other = catalogue_->ClassOf(needs_[stream], parts);
    if (catalogue_->at(other).parts != parts) return false;
    class_of_[stream] = other;
  }
  for (const std::uint32_t device : on) {
    if (Serves(stream, device) || !Takes(device, class_of_[stream])) {
      while (!placed_[stream].empty()) Leave(stream, placed_[stream].back());
      return false;
    }
    Join(stream, device);
  }
  return true;
}

std::optional<std::uint32_t> Board::BestFit(std::uint32_t stream, std::uint32_t not_on,
                                            std::size_t tests) const {
  const ClassId id = class_of_[stream];
  const StreamClass& its = catalogue_->at(id);
  std::vector<std::pair<double, std::uint32_t>> able;  // the fullest first
  for (const std::uint32_t device : used_) {
    const TypeId type = type_of(device);
    const Part& part = its.on[type];
    const Served& served = served_[device];
    if (device == not_on || !part.fits || served.share + part.share > 1 + 1e-9) continue;
    const double size = catalogue_->types()[type].memory_gb;
    const bool swaps = size > 0 && served.memory + its.need.memory_gb > size + 1e-6;
    if (swaps && !part.loading) continue;
    // Only where no other takes it: everybody there would pay for it.
    const double last = swaps ? 1e6 : 0;
    able.emplace_back(last - served.share - (size > 0 ? served.memory / size : 0), device);
  }
  std::ranges::sort(able);
  KnownPatterns failed;
  for (const auto& [fullness, device] : able) {
    const auto pattern = std::pair(type_of(device), &served_[device].pattern);
    if (failed.contains(pattern) || Serves(stream, device)) continue;
    if (Takes(device, id)) return device;
    failed.insert(pattern);
    if (failed.size() == tests) break;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> Board::Open(ClassId id) const {
  std::optional<TypeId> best;
  for (TypeId type = 0; type < free_.size(); ++type) {
    if (free_[type].empty() || !catalogue_->at(id).on[type].fits) continue;
    if (!best || costs_[type] < costs_[*best]) best = type;
  }
  if (!best) return std::nullopt;
  return free_[*best].back();
}

// One stream of some device goes elsewhere, so that this one finds a place.
bool Board::MakeRoom(std::uint32_t stream, std::uint32_t not_on) {
  const ClassId id = class_of_[stream];
  std::vector<std::pair<double, std::uint32_t>> order;
  for (const std::uint32_t device : used_) {
    if (device == not_on || !catalogue_->at(id).on[type_of(device)].fits) continue;
    order.emplace_back(served_[device].share, device);
  }
  std::ranges::sort(order);
  KnownPatterns seen;
  std::size_t searches = 0;
  for (const auto& [share, device] : order) {
    const TypeId type = type_of(device);
    if (Serves(stream, device)) continue;
    if (!seen.insert({type, &served_[device].pattern}).second) continue;
    if (seen.size() > kRoomDevices) return false;
    const Pattern before = served_[device].pattern;
    for (const Portion& portion : before) {
      if (portion.of == id) continue;
      Pattern without = before;
      TakeFrom(without, portion.of);
      if (test_.RoomFor(type, without, id, 1) == 0) continue;
      const auto who = std::ranges::find(served_[device].streams, portion.of,
                                         [&](std::uint32_t other) { return class_of_[other]; });
      const std::uint32_t other = *who;
      const std::optional<std::uint32_t> to = BestFit(other, device, 100);
      if (to && *to != not_on) {
        Note(other);
        Leave(other, device);
        Join(other, *to);
        Join(stream, device);
        return true;
      }
      if (++searches == kRoomSearches) return false;
    }
  }
  return false;
}

// How many others the change of `changed` may still move.
std::size_t Board::MovesLeft(std::uint32_t changed) const {
  const auto share = static_cast<std::size_t>(kMovedShare * static_cast<double>(needs_.size()));
  const std::size_t most = std::max<std::size_t>(1, share);
  const auto others = static_cast<std::size_t>(
      std::ranges::count_if(log_, [changed](const auto& entry) { return entry.first != changed; }));
  return most - std::min(most, others);
}

bool Board::PlaceParts(std::uint32_t stream, bool may_open) {
  const auto missing = [&] {
    return static_cast<int>(placed_[stream].size()) < catalogue_->at(class_of_[stream]).parts;
  };
  if (catalogue_->at(class_of_[stream]).parts == 0) return false;
  Note(stream);
  while (missing()) {
    if (const auto device = BestFit(stream, kNone, kFitTests)) {
      Join(stream, *device);
      continue;
    }
    if (MovesLeft(stream) > 0 && MakeRoom(stream, kNone)) continue;
    const auto opened = may_open ? Open(class_of_[stream]) : std::nullopt;
    if (!opened) return false;
    Join(stream, *opened);
  }
  return true;
}

std::vector<MovedStream> Board::Place(std::uint32_t stream) {
  const std::size_t start = log_.size();
  const ClassId first = class_of_[stream];
  int parts = catalogue_->at(first).parts;
  for (int extra = 0; extra <= kMostExtraParts; ++extra) {
    if (PlaceParts(stream, true)) return Commit();
    Rewind(start);
    // More and smaller parts may fit where fewer do not.
    parts = std::max(parts, PartsOn(needs_[stream], 1)) + 1;
    if (static_cast<std::size_t>(parts) > devices_.size()) break;
    if (!MaySplit(needs_[stream], parts)) break;
    class_of_[stream] = catalogue_->ClassOf(needs_[stream], parts);
  }
  class_of_[stream] = first;
  return Commit();
}

// Moves all that `device` serves to other devices in use, or does nothing.
void Board::Empty(std::uint32_t device) {
  std::vector<std::uint32_t> streams = served_[device].streams;
  const TypeId type = type_of(device);
  std::ranges::stable_sort(streams, [&](std::uint32_t a, std::uint32_t b) {
    return catalogue_->at(class_of_[a]).on[type].share >
           catalogue_->at(class_of_[b]).on[type].share;
  });
  const std::size_t start = log_.size();
  for (const std::uint32_t stream : streams) {
    Note(stream);
    Leave(stream, device);
    const auto to = BestFit(stream, device, 200);
    if (to) {
      Join(stream, *to);
    } else if (!MakeRoom(stream, device)) {
      return Rewind(start);
    }
  }
}

void Board::PlaceTheRest() {
  std::size_t tries = 0;
  for (std::uint32_t i = 0; i < needs_.size() && tries < kLeftTries; ++i) {
    if (!placed_[i].empty()) continue;
    Place(i);
    ++tries;
  }
}

std::vector<MovedStream> Board::Close(std::size_t tries) {
  std::vector<std::uint32_t> order = used_;
  std::ranges::stable_sort(order, {}, [&](std::uint32_t device) {
    const double size = catalogue_->types()[type_of(device)].memory_gb;
    return served_[device].share + (size > 0 ? served_[device].memory / size : 0);
  });
  for (std::size_t i = 0; i < std::min(tries, order.size()); ++i) {
    Empty(order[i]);
  }
  return Commit();
}

std::vector<MovedStream> Board::Shrink() {
  const std::vector<std::uint32_t> devices = used_;
  for (const std::uint32_t device : devices) {
    std::optional<TypeId> best;
    for (TypeId type = 0; type < free_.size(); ++type) {
      if (free_[type].empty() || costs_[type] >= costs_[best.value_or(type_of(device))]) continue;
      if (test_.Passes(type, served_[device].pattern)) best = type;
    }
    if (!best) continue;
    const std::uint32_t to = free_[*best].back();
    for (const std::uint32_t stream : std::vector(served_[device].streams)) {
      Note(stream);
      Leave(stream, device);
      Join(stream, to);
    }
  }
  return Commit();
}

void Board::Rewind(std::size_t to) {
  while (log_.size() > to) {
    const auto [stream, on] = std::move(log_.back());
    log_.pop_back();
    while (!placed_[stream].empty()) Leave(stream, placed_[stream].back());
    for (const std::uint32_t device : on) Join(stream, device);
  }
}

std::vector<MovedStream> Board::Commit() {
  std::map<std::uint32_t, PlacedOn> first;
  for (auto& [stream, on] : log_) first.emplace(stream, std::move(on));
  log_.clear();
  std::vector<MovedStream> moved;
  for (auto& [stream, on] : first) {
    PlacedOn from = on;
    PlacedOn to = placed_[stream];
    std::ranges::sort(from);
    std::ranges::sort(to);
    if (from != to) moved.push_back({stream, std::move(on), placed_[stream]});
  }
  return moved;
}

}  // namespace stagger::placement
