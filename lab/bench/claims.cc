#include "lab/bench/claims.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "console/arguments.h"
#include "console/table.h"
#include "lab/legs/leg.h"

namespace stagger::cli {
namespace {

double Rounded(double value) { return std::round(value * 10000) / 10000; }

const char* ToString(Bound bound) { return bound == Bound::kAtLeast ? "at least" : "at most"; }

}  // namespace

const char* ToString(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kFail:
      return "fail";
    case Verdict::kInconclusive:
      return "inconclusive";
  }
  return "";
}

Claim Judge(std::string name, const std::vector<Paired>& values, Bound bound, double limit,
            std::string_view doubt) {
  Claim claim;
  claim.name = std::move(name);
  claim.bound = bound;
  claim.limit = limit;
  std::vector<double> clean;
  std::vector<double> all;
  for (const Paired& pair : values) {
    if (!std::isfinite(pair.value)) continue;
    all.push_back(pair.value);
    if (!pair.disturbed) clean.push_back(pair.value);
  }
  const bool enough = !clean.empty() && clean.size() * 2 >= values.size();
  claim.pairs = static_cast<int>(clean.size());
  // With nothing clean to show, show what was measured all the same: the verdict says what it is
  // worth.
  if (const std::optional<Spread> spread = SpreadOf(enough ? clean : all)) {
    claim.spread = *spread;
  } else {
    claim.note = "nothing was measured";
    return claim;
  }
  if (!enough) {
    claim.note = fmt::format("the machine was disturbed in {} of {} repeats",
                             values.size() - clean.size(), values.size());
  } else if (!doubt.empty()) {
    claim.note = doubt;
  } else {
    const double value = claim.spread.median;
    const bool holds = bound == Bound::kAtLeast ? value >= limit : value <= limit;
    claim.verdict = holds ? Verdict::kPass : Verdict::kFail;
  }
  return claim;
}

nlohmann::ordered_json ToJson(const Claim& claim) {
  nlohmann::ordered_json json;
  json["name"] = claim.name;
  json["value"] = Rounded(claim.spread.median);
  json["spread"] = {Rounded(claim.spread.min), Rounded(claim.spread.max)};
  json["quartiles"] = {Rounded(claim.spread.q1), Rounded(claim.spread.q3)};
  json["limit"] = claim.limit;
  json["bound"] = ToString(claim.bound);
  json["pairs"] = claim.pairs;
  json["verdict"] = ToString(claim.verdict);
  json["note"] = OrNull(claim.note);
  return json;
}

std::string ToText(const std::vector<Claim>& claims) {
  Table table({"claim", "median", "min..max", "limit", "pairs", "verdict"});
  for (const Claim& claim : claims) {
    table.AddRow({claim.name, fmt::format("{:.3f}", claim.spread.median),
                  fmt::format("{:.3f}..{:.3f}", claim.spread.min, claim.spread.max),
                  fmt::format("{} {:g}", ToString(claim.bound), claim.limit),
                  fmt::format("{}", claim.pairs),
                  claim.note.empty() ? ToString(claim.verdict)
                                     : fmt::format("{}: {}", ToString(claim.verdict), claim.note)});
  }
  return table.ToString();
}

int ExitCode(const std::vector<Claim>& claims) {
  const bool failed = std::any_of(claims.begin(), claims.end(),
                                  [](const Claim& c) { return c.verdict == Verdict::kFail; });
  return failed ? kExitFailed : kExitOk;
}

}  // namespace stagger::cli
