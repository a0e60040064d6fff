#include "agent/say.h"

#include <unistd.h>

#include <atomic>

namespace stagger::agent {
namespace {
std::atomic<unsigned> said{0};
std::atomic<bool> quiet{false};

constexpr unsigned kOtherTopics = 16;
static_assert(static_cast<unsigned>(Topic::kCount) <= kOtherTopics);

void SayOncePerBit(unsigned bit, const std::string& text) {
  if ((said.fetch_or(bit) & bit) != 0 || quiet.load()) return;
  const std::string line = "stagger: " + text + "\n";
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // nobody to tell
}

}  // namespace

void SayOnce(Topic topic, const std::string& text) {
  SayOncePerBit(1u << static_cast<unsigned>(topic), text);
}

void SayOnceForOther(int topic, const std::string& text) {
  const unsigned known = static_cast<unsigned>(topic) % kOtherTopics;
  SayOncePerBit(1u << (kOtherTopics + known), text);
}

void SetQuiet(bool value) { quiet.store(value); }

}  // namespace stagger::agent
