// What is left to place, by class, and on what, by type; and what was found: patterns and how many
// devices shall serve each. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "placement/pattern.h"

namespace stagger::placement {

struct Unplaced {
  std::vector<std::uint32_t> parts;    // by class: still to be placed
  std::vector<std::uint32_t> streams;  // by class: no device may serve more, lest it serve two
                                       // parts of one stream
  std::vector<std::uint32_t> devices;  // by type: still free

  std::uint32_t Most(ClassId id) const { return std::min(parts[id], streams[id]); }
  bool done() const;
};

struct Batch {
  TypeId type = 0;
  Pattern pattern;
  std::uint32_t devices = 0;  // how many serve it
};

// Takes it off what is unplaced; no class below 0. The devices are used up.
void Take(Unplaced& unplaced, const Batch& batch);

// What of a pattern is still asked for.
Pattern Trimmed(const Unplaced& unplaced, const Pattern& pattern);

// At once and good enough to act on: fills one device after the other with what goes together, by
// several orders, keeps the best of them, and uses each pattern for as long as there is enough of
// all its classes. What does not fit is left in `unplaced`.
std::vector<Batch> FillGreedily(const Catalogue& catalogue, const PatternTest& test,
                                Unplaced& unplaced);

// What a class is worth when a device of `type` is filled up: the device time and the memory it
// takes, each as scarce as it is over all that is asked for. By class.
std::vector<double> WorthOf(const Catalogue& catalogue, const Unplaced& unplaced, TypeId type);
// How much work a pattern is, whatever the type.
double WorkOf(const Catalogue& catalogue, const Pattern& pattern);

// How much a device of that type counts: 1, and a little for its speed and memory, so that among
// plans of as many devices the one on smaller ones is found.
std::vector<double> CostOfTypes(const Catalogue& catalogue);

}  // namespace stagger::placement
