// Streams that need the same, and devices that are the same, taken together: what makes placing a
// hundred thousand streams no harder than placing their few classes. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "placement/model.h"

namespace stagger::placement {

using ClassId = std::uint32_t;
using TypeId = std::uint32_t;

// One part of a stream on a device of some type.
struct Part {
  bool fits = false;  // alone, with its memory
  admission::Task task;
  double share = 0;  // of the device's time
  // Where the device swaps; nullopt: it cannot be there then.
  std::optional<admission::Task> loading{};
};

struct StreamClass {
  StreamNeed need;       // without names
  int parts = 0;         // on as many devices; 0: it fits nowhere
  std::vector<Part> on;  // by type
};

struct DeviceType {
  double speed = 1;
  double memory_gb = 0;  // 0: no limit
  DeviceKind kind = DeviceKind::kAny;
  std::vector<std::uint32_t> devices;
};

class Catalogue {
 public:
  // `swapping`: devices may; else memory is a limit.
  explicit Catalogue(std::span<const PlanDevice> devices, bool swapping = false);

  // The class of a stream, new or known. `parts`: into as many as that, rather than as few as it
  // can be.
  ClassId ClassOf(const StreamNeed& need, int parts = 0);

  bool swapping() const { return swapping_; }
  const std::vector<DeviceType>& types() const { return types_; }
  TypeId type_of(std::uint32_t device) const { return type_of_[device]; }
  const std::vector<StreamClass>& classes() const { return classes_; }
  const StreamClass& at(ClassId id) const { return classes_[id]; }
  bool FitsMemory(TypeId type, double memory_gb) const {
    return types_[type].memory_gb == 0 || memory_gb <= types_[type].memory_gb + kMemorySlack;
  }

 private:
  using Key = std::tuple<double, Duration, Duration, Duration, Duration, double, DeviceKind, int,
                         int, Duration>;
  std::vector<Part> Split(const StreamNeed& need, int parts) const;

  bool swapping_;
  std::vector<DeviceType> types_;
  std::vector<TypeId> type_of_;
  std::vector<StreamClass> classes_;
  std::map<Key, ClassId> known_;
};

}  // namespace stagger::placement
