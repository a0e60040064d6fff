// A private folder (0700) for sockets and files of one run, removed with all it holds at the end.
// Under $XDG_RUNTIME_DIR if that is usable, else /tmp.
#pragma once

#include <string>

#include "base/result.h"
#include "launch/keeper.h"

namespace stagger::cli {

class ScratchDir {
 public:
  static Result<ScratchDir> Make(Keeper& keeper);
  ScratchDir(ScratchDir&& other) noexcept;
  ScratchDir& operator=(ScratchDir&&) = delete;
  ~ScratchDir();

  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  ScratchDir(std::string path, Keeper& keeper) : path_(std::move(path)), keeper_(&keeper) {}
  std::string path_;
  Keeper* keeper_;
};

}  // namespace stagger::cli
