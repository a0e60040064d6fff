#include "record/trace_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "record/chrome_trace.h"

namespace stagger::record {

Result<void> WriteTrace(const record::Recording& recording, const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  // A name is whatever an app called itself; bytes that are no text must not spoil the file.
  out << record::ChromeTrace(recording).dump(-1, ' ', false,
                                             nlohmann::json::error_handler_t::replace)
      << '\n';
  if (!out.flush()) return Error{"cannot write " + path + ": " + std::strerror(errno)};
  return {};
}

}  // namespace stagger::record
