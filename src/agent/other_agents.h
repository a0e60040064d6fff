// Two copies of this library in one process, from two installations, would both take turns for the
// same bodies and wait for each other. The first one that the linker finds works; others stand
// aside: what they export passes through.
#pragma once

namespace stagger::agent {

// Another agent comes before this one. Any thread; cheap after the first call.
bool StandsAside();

// This function lies in an agent's library, ours or another one: no runtime's.
bool IsAnAgents(const void* function);

// Says so in one line if there are several. Once something infers.
void SayIfSeveral();

}  // namespace stagger::agent
