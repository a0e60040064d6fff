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

std::vector<App> AppsWithBodies();
std::vector<App> AppsWithout();

// The paper's: pre-processing and copies in, a 45 ms body of 160 launches, then small kernels
// between copies out, as many as there are detections.
void SsdFrame(Host& host, std::uint64_t model, bool settled = true);

}  // namespace stagger::phase
