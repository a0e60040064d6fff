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
  // Both agents, for apps that will find a driver which this process does not.
  Result<std::string> CudaAgents() const;
  // Why apps would find a CUDA driver that does not load; empty: it does, or there is none.
  static std::string DriverTrouble();
  Result<std::string> Executor() const { return Program("stagger-executor"); }
  // One of the installation's programs; the error says how to get it.
  Result<std::string> Program(const std::string& name) const;
  Result<std::string> CameraDetector() const;
  Result<std::string> CudaCamera() const;
  // The folder with the virtual GPU's libcuda.so.1 and libnvidia-ml.so.1.
  Result<std::string> VirtualDriver() const;
  // The folder with the driver that does nothing and the program that times calls into it.
  Result<std::string> NullDriver() const;

  const std::string& examples() const { return examples_; }

 private:
  std::string daemon_;
  std::string programs_;
  std::string agent_;
  std::string cuda_agent_;
  std::string examples_;
  std::string virtual_driver_;
  std::string null_driver_;
};

// The path execvp would run for `name`; empty if there is none.
std::string FindInPath(const std::string& name);

}  // namespace stagger::cli
