#include "lab/legs/progress_line.h"

#include <fmt/core.h>
#include <unistd.h>

namespace stagger::cli {

ProgressLine::ProgressLine() : terminal_(isatty(2) == 1) {}

ProgressLine::~ProgressLine() {
  if (open_) fmt::print(stderr, "\n");
}

void ProgressLine::Update(const std::string& text) {
  if (!terminal_) return;
  fmt::print(stderr, "\r\033[K{}", text);
  open_ = true;
}

void ProgressLine::Finish(const std::string& text) {
  fmt::print(stderr, "{}{}\n", terminal_ ? "\r\033[K" : "", text);
  open_ = false;
}

}  // namespace stagger::cli
