// The virtual GPU's log: one line of JSON for each process that comes or goes and for each
// operation as it ends, times in ns of CLOCK_MONOTONIC. Lines are handed over in memory; a thread
// writes them, so that a slow disk never delays the device. Used from one thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "lab/vgpu/device.h"

namespace stagger::vgpu {

class OpLog {
 public:
  static Result<std::unique_ptr<OpLog>> Open(const std::string& path);
  ~OpLog();  // writes what is left
  OpLog(const OpLog&) = delete;
  OpLog& operator=(const OpLog&) = delete;

  // `device`: its number, from 0.
  void Device(std::uint32_t device, const Model& model, Mode mode, TimePoint now);
  void Switched(std::uint32_t device, bool here, TimePoint now);
  void Came(std::uint32_t device, ProcessKey process, int pid, std::string_view program,
            TimePoint now);
  void Left(std::uint32_t device, ProcessKey process, int pid, TimePoint now);
  void Ended(std::uint32_t device, const Outcome& outcome, int pid, std::string_view name);
  // What was handed over will be written soon.
  void Flush();

 private:
  explicit OpLog(UniqueFd file);
  void Write();

  UniqueFd file_;
  std::string lines_;  // of the caller's thread
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string handed_over_;
  bool ending_ = false;
  std::thread writer_;
};

// As a JSON string, with its quotes.
std::string Quoted(std::string_view text);

}  // namespace stagger::vgpu
