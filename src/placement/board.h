// Which stream is placed where: takes one change at a time and moves as few streams as it can.
// A stream stays where it is as long as its device passes the test with it. One that must go
// somewhere goes to the fullest device that takes it; else another is moved to make room; else a
// device is opened. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "placement/unplaced.h"

namespace stagger::placement {

struct MovedStream {
  std::uint32_t stream = 0;
  PlacedOn from;
  PlacedOn to;
};

class Board {
 public:
  // `swapping` as Catalogue has it.
  explicit Board(std::vector<PlanDevice> devices, bool swapping = false);
  // With all streams of the problem, none of them placed.
  Board(const PlacementProblem& problem, bool swapping) : Board(problem.devices, swapping) {
    for (const StreamNeed& need : problem.streams) Add(need);
  }

  // Knows it from now on, without a place. Its index.
  std::uint32_t Add(const StreamNeed& need);
  // Puts a stream that has no place where it is told. False, and nothing done, where that fails the
  // test.
  bool Put(std::uint32_t stream, const PlacedOn& on);

  // Each of these keeps every device within the test, and says which streams moved.
  std::vector<MovedStream> Place(std::uint32_t stream);
  // Each stream that has no place, the first 2000 of them.
  void PlaceTheRest();
  // Closes devices while their streams find room elsewhere: at most `tries` devices are tried.
  std::vector<MovedStream> Close(std::size_t tries);
  // Moves what a device serves as a whole to a free one that counts less.
  std::vector<MovedStream> Shrink();

  const std::vector<PlacedOn>& placed() const { return placed_; }
  const std::vector<StreamNeed>& needs() const { return needs_; }
  const std::vector<PlanDevice>& devices() const { return devices_; }
  ClassId class_of(std::uint32_t stream) const { return class_of_[stream]; }
  Catalogue& catalogue() { return *catalogue_; }
  const PatternTest& test() const { return test_; }
  std::size_t devices_used() const { return used_.size(); }
  const Pattern& pattern(std::uint32_t device) const { return served_[device].pattern; }
  TypeId type_of(std::uint32_t device) const { return catalogue_->type_of(device); }
  Plan plan() const { return {placed_}; }

 private:
  struct Served {
    Pattern pattern;
    std::vector<std::uint32_t> streams;
    double share = 0;
    double memory = 0;
    std::uint32_t at = 0;  // in used_ or free_
  };
  void Join(std::uint32_t stream, std::uint32_t device);
  void Leave(std::uint32_t stream, std::uint32_t device);
  bool Takes(std::uint32_t device, ClassId id) const;
  bool Serves(std::uint32_t stream, std::uint32_t device) const;
  std::optional<std::uint32_t> BestFit(std::uint32_t stream, std::uint32_t not_on,
                                       std::size_t tests) const;
  bool MakeRoom(std::uint32_t stream, std::uint32_t not_on);
  std::optional<std::uint32_t> Open(ClassId id) const;
  std::size_t MovesLeft(std::uint32_t changed) const;
  bool PlaceParts(std::uint32_t stream, bool may_open);
  void Empty(std::uint32_t device);
  void Note(std::uint32_t stream);
  void Rewind(std::size_t to);
  std::vector<MovedStream> Commit();

  std::vector<PlanDevice> devices_;
  std::unique_ptr<Catalogue> catalogue_;
  PatternTest test_;
  std::vector<double> costs_;  // by type
  std::vector<StreamNeed> needs_;
  std::vector<ClassId> class_of_;
  std::vector<PlacedOn> placed_;
  std::vector<Served> served_;                    // by device
  std::vector<std::uint32_t> used_;               // devices
  std::vector<std::vector<std::uint32_t>> free_;  // by type
  // What the change under way did: where each stream was before each of its steps.
  std::vector<std::pair<std::uint32_t, PlacedOn>> log_;
};

}  // namespace stagger::placement
