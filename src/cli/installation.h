// Where the pieces of this installation lie: next to the running program (../bin, ../lib,
// ../examples), or where $STAGGERD, $STAGGER_AGENT and $STAGGER_CUDA_AGENT say.
#pragma once

#include <string>

#include "base/result.h"

namespace stagger::cli {

class Installation {
 public:
  static Result<Installation> Find();

  // Absolute paths. An error when the file is missing (or, for the agent, when its path holds a
  // character that LD_PRELOAD cannot carry).
  Result<std::string> Daemon() const;
  Result<std::string> Agent() const;
  // What an app is to preload: the agent, and the one for CUDA where this machine has a driver (or
  // the virtual GPU stands for one). Errors as Agent().
  Result<std::string> Agents() const;
  Result<std::string> Executor() const;
  Result<std::string> CameraDetector() const;
  // The folder with the virtual GPU's libcuda.so.1 and libnvidia-ml.so.1.
  Result<std::string> VirtualDriver() const;

  const std::string& examples() const { return examples_; }

 private:
  std::string daemon_;
  std::string executor_;
  std::string agent_;
  std::string cuda_agent_;
  std::string examples_;
  std::string virtual_driver_;
};

// LD_PRELOAD's new value: the agents first, then what was there.
std::string PreloadValue(const std::string& agents, const char* existing);

// The path execvp would run for `name`; empty if there is none.
std::string FindInPath(const std::string& name);

}  // namespace stagger::cli
