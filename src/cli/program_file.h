// Why the dynamic linker would not preload anything into a program, told from its file alone.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stagger::cli {

// Pure: from the first bytes of a file (64 KiB are enough). Empty: nothing stands in the way, or it
// is no ELF file.
std::optional<std::string> ElfObstacle(std::string_view bytes);

// Pure: what a script's first line names; empty if it is no script.
std::string InterpreterOf(std::string_view bytes);

// Pure: whether the kernel starts a program with other rights than ours, for which the linker
// drops LD_PRELOAD.
struct FileRights {
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  bool capabilities = false;
};
std::optional<std::string> RightsObstacle(const FileRights& file, uid_t uid, gid_t gid);

// All of that for the file at `path`, and for the interpreters of scripts.
std::optional<std::string> PreloadObstacle(const std::string& path);

// Inference runtimes that are linked into a file, found by names they carry: "ONNX Runtime",
// "TensorFlow Lite". Files under 1 MiB have none.
std::vector<std::string> RuntimesInside(const std::string& path);

}  // namespace stagger::cli
