#include "lab/bench/rates/rates_claims.h"

#include <algorithm>
#include <cstdio>
#include <map>

namespace stagger::cli {

std::optional<RateCall> ParseCall(const std::string& line) {
  int kind = 0;
  long long start = 0;
  long long end = 0;
  unsigned long long hash = 0;
  char rest = 0;
  if (std::sscanf(line.c_str(), "%d,%lld,%lld,%llu%c", &kind, &start, &end, &hash, &rest) != 4) {
    return std::nullopt;
  }
  return RateCall{kind, Duration{start}, Duration{end}, hash};
}

std::optional<RateMeasurements> RatesOf(const std::vector<RateCall>& calls,
                                        const std::vector<RateCall>& truth, std::size_t skip,
                                        int calls_per_second, int needed) {
  std::map<int, std::uint64_t> gives;
  for (const RateCall& call : truth) gives[call.kind] = call.hash;
  RateMeasurements measurements;
  std::vector<std::size_t> computed;
  std::vector<bool> own(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto known = gives.find(calls[i].kind);
    if (known == gives.end()) return std::nullopt;
    own[i] = known->second == calls[i].hash;
    if (i < skip) continue;
    if (own[i]) computed.push_back(i);
    if (!own[i] && (i == 0 || calls[i].hash != calls[i - 1].hash)) ++measurements.wrong;
  }
  if (computed.size() < 2) return std::nullopt;
  const std::size_t first = computed.front();
  for (std::size_t i = first; i < calls.size(); ++i) {
    const double took = ToMs(calls[i].end - calls[i].start);
    (own[i] ? measurements.computed_ms : measurements.reused_ms).push_back(took);
  }
  const auto per_second = [&](std::size_t from, std::size_t to, std::size_t count) {
    return static_cast<double>(count) * 1e9 /
           static_cast<double>((calls[to].end - calls[from].end).count());
  };
  const std::size_t last = calls.size() - 1;
  measurements.seconds = ToMs(calls[last].end - calls[first].end) / 1000;
  measurements.calls = static_cast<int>(calls.size() - first);
  measurements.done = static_cast<int>(computed.size());
  measurements.calls_fps = per_second(first, last, last - first);
  measurements.fps = per_second(first, computed.back(), computed.size() - 1);
  measurements.least_gap = measurements.greatest_gap = static_cast<int>(computed[1] - computed[0]);
  for (std::size_t i = 1; i < computed.size(); ++i) {
    const int gap = static_cast<int>(computed[i] - computed[i - 1]);
    measurements.least_gap = std::min(measurements.least_gap, gap);
    measurements.greatest_gap = std::max(measurements.greatest_gap, gap);
  }
  const auto window = static_cast<std::size_t>(calls_per_second);
  for (std::size_t from = first; from + window <= calls.size(); from += window) {
    const auto begin = own.begin() + static_cast<std::ptrdiff_t>(from);
    ++measurements.seconds_of_calls;
    if (std::count(begin, begin + calls_per_second, true) == needed) ++measurements.exact_seconds;
  }
  return measurements;
}

}  // namespace stagger::cli
