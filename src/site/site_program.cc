#include "site/site_program.h"

#include <fmt/core.h>

#include "launch/installation.h"

namespace stagger::cli {

Result<std::string> FindProgram(const std::string& program, const std::string& folder,
                                const std::string& examples) {
  if (program.front() == '/') {
    if (!FindInPath(program).empty()) return program;
    return Error{fmt::format("cannot run '{}': no such program", program)};
  }
  const bool plain = program.find('/') == std::string::npos;
  if (plain) {
    if (std::string found = FindInPath(program); !found.empty()) return found;
  }
  if (std::string found = FindInPath(folder + "/" + program); !found.empty()) return found;
  if (plain) {
    std::string found = FindInPath(examples + "/" + program);
    if (!found.empty()) return found;
    return Error{fmt::format("cannot run '{}': not in PATH, nor in {}, nor in {}", program, folder,
                             examples)};
  }
  return Error{fmt::format("cannot run '{}': not found in {}", program, folder)};
}

}  // namespace stagger::cli
