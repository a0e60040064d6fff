// What is going on, on stderr: on a terminal one line that keeps changing, elsewhere one line per
// finished step.
#pragma once

#include <string>

namespace stagger::cli {

class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();  // leaves no half-written line behind
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  bool live() const { return terminal_; }
  void Update(const std::string& text);  // a terminal only
  void Finish(const std::string& text);  // stays

 private:
  bool terminal_;
  bool open_ = false;
};

}  // namespace stagger::cli
