// A bench's claims: a figure, its limit, and whether what was measured backs it. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lab/legs/percentile.h"

namespace stagger::cli {

enum class Verdict { kPass, kFail, kInconclusive };
const char* ToString(Verdict verdict);

enum class Bound { kAtLeast, kAtMost };

struct Claim {
  std::string name;
  Spread spread;  // over the repeats; the median is the claim's value
  Bound bound = Bound::kAtMost;
  double limit = 0;
  int pairs = 0;  // repeats that count
  Verdict verdict = Verdict::kInconclusive;
  std::string note;  // why inconclusive; empty otherwise
};

// One repeat's value, and whether something else disturbed a leg it was taken from.
struct Paired {
  double value = 0;
  bool disturbed = false;
};

// Disturbed repeats don't count; when fewer than half are left nothing can be said. `doubt` (a
// reason) makes any verdict inconclusive.
Claim Judge(std::string name, const std::vector<Paired>& values, Bound bound, double limit,
            std::string_view doubt = "");

nlohmann::ordered_json ToJson(const Claim& claim);
// "pass          saturated: controlled / uncontrolled fps   1.85 (1.72..1.93)   at least 1.60"
std::string ToText(const std::vector<Claim>& claims);
// 1 when a claim failed, else 0: an inconclusive one is no failure.
int ExitCode(const std::vector<Claim>& claims);

}  // namespace stagger::cli
