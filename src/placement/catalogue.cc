#include "placement/catalogue.h"

#include <algorithm>
#include <set>

namespace stagger::placement {

Catalogue::Catalogue(std::span<const PlanDevice> devices, bool swapping) : swapping_(swapping) {
  std::map<std::tuple<double, double, DeviceKind>, TypeId> known;
  for (std::uint32_t i = 0; i < devices.size(); ++i) {
    const PlanDevice& device = devices[i];
    const auto [type, fresh] =
        known.emplace(std::tuple(device.speed, device.memory_gb, device.kind),
                      static_cast<TypeId>(types_.size()));
    if (fresh) types_.push_back({device.speed, device.memory_gb, device.kind, {}});
    types_[type->second].devices.push_back(i);
    type_of_.push_back(type->second);
  }
}

std::vector<Part> Catalogue::Split(const StreamNeed& need, int parts) const {
  std::vector<Part> on(types_.size());
  for (TypeId type = 0; type < types_.size(); ++type) {
    const std::optional<admission::Task> task = PartOn(need, parts, types_[type].speed);
    if (!task || !Suits(need.kind, types_[type].kind) || !FitsMemory(type, need.memory_gb)) {
      continue;
    }
    on[type] = {true, *task,
                static_cast<double>(task->body.count()) / static_cast<double>(task->period.count()),
                std::nullopt};
    if (swapping_ && MaySwap(need, types_[type].kind)) {
      on[type].loading = PartOn(need, parts, types_[type].speed, true);
    }
  }
  return on;
}

ClassId Catalogue::ClassOf(const StreamNeed& need, int asked) {
  const auto [found, fresh] =
      known_.emplace(Key{need.fps, need.pre, need.body, need.post, need.deadline, need.memory_gb,
                         need.kind, need.most_parts, asked, swapping_ ? need.load : Duration{}},
                     static_cast<ClassId>(classes_.size()));
  if (!fresh) return found->second;
  StreamClass made{need, 0, std::vector<Part>(types_.size())};
  made.need.name.clear();
  made.need.app.clear();
  // The numbers of parts worth a try: as many as some type needs.
  std::set<int> tries;
  for (const DeviceType& type : types_) {
    if (Suits(need.kind, type.kind)) tries.insert(PartsOn(need, type.speed));
  }
  if (asked > 0) tries = {asked};
  for (const int parts : tries) {
    if (!MaySplit(need, parts)) break;
    std::vector<Part> on = Split(need, parts);
    std::size_t able = 0;
    for (TypeId type = 0; type < types_.size(); ++type) {
      if (on[type].fits) able += types_[type].devices.size();
    }
    if (able < static_cast<std::size_t>(parts)) continue;
    made.parts = parts;
    made.on = std::move(on);
    break;
  }
  classes_.push_back(std::move(made));
  return found->second;
}

}  // namespace stagger::placement
