#include "console/sentences.h"

#include <fmt/format.h>

#include <algorithm>

#include "console/table.h"

namespace stagger::cli {

// As short as it can be said: 60, 7.5, 0.25.
std::string Plain(double value) { return fmt::format("{:.4g}", value); }
std::string Time(double ms) {
  if (ms >= 10'000) return fmt::format("{:.0f} s", ms / 1000);
  if (ms >= 1000) return fmt::format("{:.1f} s", ms / 1000);
  return fmt::format("{:.{}f} ms", ms, ms < 100 ? 1 : 0);
}
std::string Share(double ratio) { return fmt::format("{:.0f} %", ratio * 100); }
std::string Counted(double count, const char* one, const char* many) {
  return fmt::format("{:.0f} {}", count, count == 1 ? one : many);
}

// "a", "a and b", "a, b and c".
std::string Listed(const std::vector<std::string>& items) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == items.size() ? " and " : ", ") + items[i];
  }
  return text;
}

std::string Join(const std::vector<std::string>& words, const std::string& separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

std::string Paragraph::Under(const char* label) const {
  if (text_.empty()) return "";
  std::string lines = fmt::format("  {:<{}}", label, kLabel - 2);
  std::size_t column = kLabel;
  for (std::size_t at = 0; at < text_.size();) {
    const std::size_t end = std::min(text_.find(' ', at), text_.size());
    const std::string word = text_.substr(at, end - at);
    if (column > kLabel && column + 1 + Width(word) > kWidth) {
      lines += "\n" + std::string(kLabel, ' ');
      column = kLabel;
    } else if (column > kLabel) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += Width(word);
    at = end + 1;
  }
  return lines + "\n";
}

}  // namespace stagger::cli
