#include "console/table.h"

#include <algorithm>
#include <cstddef>

namespace stagger::cli {
namespace {

bool LooksNumeric(const std::string& cell) {
  return cell.empty() || cell == "-" || (cell.front() >= '0' && cell.front() <= '9') ||
         (cell.front() == '-' && cell.size() > 1 && cell[1] >= '0' && cell[1] <= '9');
}

}  // namespace

std::size_t Width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;  // not a continuation byte
  }));
}

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(rows_.front().size());
  rows_.push_back(std::move(cells));
}

std::string Table::ToString() const {
  const std::size_t columns = rows_.front().size();
  std::vector<std::size_t> widths(columns, 0);
  std::vector<bool> numeric(columns, true);
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    for (std::size_t i = 0; i < columns; ++i) {
      widths[i] = std::max(widths[i], Width(rows_[row][i]));
      if (row > 0 && !LooksNumeric(rows_[row][i])) numeric[i] = false;
    }
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < columns; ++i) {
      if (i > 0) line += "  ";
      const std::string padding(widths[i] - Width(row[i]), ' ');
      line += i > 0 && numeric[i] ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace stagger::cli
