// What a bench ends with, whatever it measures: a workplace, the measurement, its report, and the
// exit code that the claims give.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "console/arguments.h"
#include "lab/bench/claims.h"
#include "launch/workplace.h"

namespace stagger::cli {

// `report` prints what was found and says what is claimed of it. Without findings one line says
// why, and the exit code whether it was stopped.
template <typename Findings>
int RunBench(const char* name, const std::function<Result<Findings>(Workplace&)>& measure,
             const std::function<std::vector<Claim>(const Findings&)>& report) {
  Result<Workplace> place = Workplace::Open();
  if (!place) {
    PrintError(place.error().message);
    return kExitFailed;
  }
  const Result<Findings> findings = measure(*place);
  if (!findings) {
    PrintError(std::string("bench ") + name + ": " + findings.error().message);
    return place->stop.Raised() ? kExitInterrupted : kExitFailed;
  }
  return ExitCode(report(*findings));
}

}  // namespace stagger::cli
