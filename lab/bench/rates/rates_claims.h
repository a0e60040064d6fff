// What `bench rates` reads from the calls an app wrote down: which of them computed something, how
// evenly, and whether the others got the outputs of the one before. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace stagger::cli {

// One call as frame-runner --calls writes it: "kind,start_ns,end_ns,hash".
struct RateCall {
  int kind = 0;  // which of its frames
  Duration start{};
  Duration end{};
  std::uint64_t hash = 0;  // of the outputs
};
std::optional<RateCall> ParseCall(const std::string& line);

struct RateMeasurements {
  double seconds = 0;  // from the first call counted to the last
  double calls_fps = 0;
  double fps = 0;                   // inferences
  int calls = 0;                    // counted
  int done = 0;                     // of them computed
  int seconds_of_calls = 0;         // whole runs of `calls_per_second` calls
  int exact_seconds = 0;            // of them: with exactly as many inferences as are needed
  int least_gap = 0;                // calls from one inference to the next
  int greatest_gap = 0;             //
  int wrong = 0;                    // outputs that are neither the call's own nor the last one's
  std::vector<double> computed_ms;  // how long the calls took
  std::vector<double> reused_ms;
};

// `truth`: calls of an app all of whose calls computed; what each kind gives. `skip`: the first
// calls are not counted; counting begins with an inference. nullopt: too little to go by.
std::optional<RateMeasurements> RatesOf(const std::vector<RateCall>& calls,
                                        const std::vector<RateCall>& truth, std::size_t skip,
                                        int calls_per_second, int needed);

}  // namespace stagger::cli
