// Words and figures for people: how a time, a share or a list reads, and sentences under a label.
// Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace stagger::cli {

std::string Plain(double value);  // as short as it can be said: 60, 7.5, 0.25
std::string Time(double ms);      // 8.2 ms, 250 ms, 1.2 s, 32 s
std::string Share(double ratio);  // 62 %
// "1 turn", "3 turns".
std::string Counted(double count, const char* one, const char* many);
// "a", "a and b", "a, b and c".
std::string Listed(const std::vector<std::string>& items);
std::string Join(const std::vector<std::string>& words, const std::string& separator);

// Sentences under a label, wrapped beside it.
class Paragraph {
 public:
  static constexpr std::size_t kLabel = 14;   // columns, two of them before it
  static constexpr std::size_t kWidth = 100;  // of a line

  void Say(const std::string& sentence) { text_ += (text_.empty() ? "" : " ") + sentence; }
  // With a newline at its end; nothing where nothing was said.
  std::string Under(const char* label) const;

 private:
  std::string text_;
};

}  // namespace stagger::cli
