// Rows of text as aligned columns: the first one flush left, a last one of words too, numbers flush
// right. Pure.
#pragma once

#include <string>
#include <vector>

namespace stagger::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header);

  // Shorter rows are filled up; longer ones are cut.
  void AddRow(std::vector<std::string> cells);
  // With a newline after each row and none before; no row ends in spaces.
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the header first
};

// How many columns a terminal gives `text` (UTF-8; one per character).
std::size_t Width(const std::string& text);

}  // namespace stagger::cli
