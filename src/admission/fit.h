// Does what a device serves fit, said so that a person can act on it: the admission test's verdict
// with names, and the nearest thing that would fit. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "admission/admission.h"

namespace stagger::admission {

struct NamedTask {
  std::string name;
  Task task;
  bool deadline_follows = false;  // its deadline is its period, whatever its rate
};

struct Fit {
  bool admitted = false;
  double utilisation = 0;              // bodies' share of the device
  std::optional<std::size_t> binding;  // index of the stream that can miss its deadline
  std::optional<Duration> interval;    // how long after the beginning of a busy time
  struct Nearest {
    std::size_t which;
    double fps;
  };
  std::optional<Nearest> nearest;  // the change of one stream's rate that costs least
  std::string reason;              // a sentence part
};

// "cam7 at 30 fps does not fit: gate's 45 ms body would make it late: 53 ms of bodies are due
// within 33.33 ms; fits with cam7 at 18.8 fps".
Fit JudgeFit(std::span<const NamedTask> tasks);

// To three figures, never upwards: what is said to fit must fit.
double RoundedDown(double fps);

}  // namespace stagger::admission
