// The agent's only voice: at most one line per reason and process, on stderr. Never per call.
#pragma once

#include <string>

namespace stagger::agent {

enum class Topic : unsigned char {
  kDaemon,   // there is none, or none that answers
  kRefused,  // there is one, and this process may not join it
  kNoRoom,   // or not now
  kRuntime,
  kOptions,
  kBound,
  kAgents,
  kForward,
  kExecutor,
  kExcess,
  kCount
};

// Writes "stagger: TEXT\n" with one write(2), the first time `topic` is used; later calls are free.
void SayOnce(Topic topic, const std::string& text);

// The same for another library's topics, which are 0 to 15 and apart from ours.
void SayOnceForOther(int topic, const std::string& text);

void SetQuiet(bool quiet);

}  // namespace stagger::agent
