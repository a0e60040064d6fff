// The apps that the detector is judged by.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "score.h"
#include "synthetic_app.h"

namespace stagger::phase {

struct App {
  std::string name;
  Trace (*make)(std::uint64_t seed);
  ScoreOptions options;
};

void PrintTo(const App& app, std::ostream* out);

std::vector<App> SteadyApps();
std::vector<App> ChangingApps();
std::vector<App> ThreadedApps();
std::vector<App> AppsWithBodies();  // all of these
std::vector<App> AppsWithout();

}  // namespace stagger::phase
