#include "agent/say.h"

#include <unistd.h>

#include <atomic>

namespace stagger::agent {
namespace {
std::atomic<unsigned> said{0};
std::atomic<bool> quiet{false};
}  // namespace

void SayOnce(Topic topic, const std::string& text) {
  const unsigned bit = 1u << static_cast<unsigned>(topic);
  if ((said.fetch_or(bit) & bit) != 0 || quiet.load()) return;
  const std::string line = "stagger: " + text + "\n";
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // nobody to tell
}

void SetQuiet(bool value) { quiet.store(value); }

}  // namespace stagger::agent
