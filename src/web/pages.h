// The dashboard's files, built into the program.
#pragma once

#include <span>
#include <string_view>

namespace stagger::web {

struct Page {
  const char* path;  // "/"
  const char* type;  // "text/html; charset=utf-8"
  std::string_view content;
};

std::span<const Page> Pages();

}  // namespace stagger::web
