#include "lab/legs/leg_names.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "console/sentences.h"

namespace stagger::cli {

Result<std::vector<std::string>> ChooseLegs(const std::string& list,
                                            const std::vector<std::string>& known) {
  std::set<std::string> wanted;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string name = list.substr(begin, end - begin);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Error{fmt::format("--legs: unknown leg '{}'; known: {}", name, Join(known, ", "))};
    }
    wanted.insert(name);
    begin = end + 1;
  }
  std::vector<std::string> chosen;
  std::copy_if(known.begin(), known.end(), std::back_inserter(chosen),
               [&](const std::string& name) { return wanted.count(name) > 0; });
  return chosen;
}

}  // namespace stagger::cli
