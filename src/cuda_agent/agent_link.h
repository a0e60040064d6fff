// The other agent library, which holds the process's gate and its connection.
#pragma once

#include "agent/interface.h"

namespace stagger::cuda_agent {

inline const StaggerAgentInterface& Agent() { return stagger_agent_interface; }

}  // namespace stagger::cuda_agent
