// Whether the dynamic linker will load the agent into a program, found out before it starts: some
// it cannot (static, 32-bit), some it must not (setuid), some would not start with it (musl).
// Looks at files only.
#pragma once

#include <string>

namespace stagger::cli {

struct Preload {
  // Set LD_PRELOAD. Also where the agent is not loaded, if that does no harm: what the program
  // starts in its turn may be controlled.
  bool wanted = true;
  std::string why_not;  // the agent is not loaded; completes "'x' runs uncontrolled: "
};

// `program` is a path, as FindInPath gives it. Where nothing can be read nothing is wrong.
Preload PreloadOf(const std::string& program);

// LD_PRELOAD's new value: the agents first, then what was there, without other copies of the
// agents: two in one process would both take turns.
std::string PreloadValue(const std::string& agents, const char* existing);

}  // namespace stagger::cli
