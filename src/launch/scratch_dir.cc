#include "launch/scratch_dir.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

namespace stagger::cli {

Result<ScratchDir> ScratchDir::Make(Keeper& keeper) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  for (const std::string& parent :
       {std::string(runtime != nullptr ? runtime : ""), std::string("/tmp")}) {
    // A socket's path holds 107 bytes at most: leave room for its name.
    if (parent.empty() || parent.front() != '/' || parent.size() > 60) continue;
    std::string path = parent + "/stagger-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) continue;
    keeper.WatchPath(path);
    return ScratchDir(std::move(path), keeper);
  }
  return Error{fmt::format("cannot make a folder in /tmp: {}", std::strerror(errno))};
}

ScratchDir::ScratchDir(ScratchDir&& other) noexcept
    : path_(std::exchange(other.path_, "")), keeper_(other.keeper_) {}

ScratchDir::~ScratchDir() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  keeper_->ForgetPath(path_);
}

}  // namespace stagger::cli
