#include "site/moves.h"

#include <algorithm>

namespace stagger::cli {

std::map<std::string, std::string> Moves::Moved(const std::vector<std::string>& apps,
                                                Duration timeout) const {
  std::vector<std::string> names;
  std::ranges::copy_if(apps, std::back_inserter(names), [this](const std::string& app) {
    const auto found = started_on_.find(app);
    return found != started_on_.end() && !found->second.empty();
  });
  std::map<std::string, std::string> moved;
  for (const auto& [name, place] : AskPlaces(daemon_, names, timeout)) {
    if (!place.gpus.empty() && place.gpus != started_on_.at(name)) moved[name] = place.reason;
  }
  return moved;
}

}  // namespace stagger::cli
