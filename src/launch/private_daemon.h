// A staggerd of our own: started, waited for, and stopped last.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "launch/child_process.h"
#include "launch/installation.h"
#include "launch/keeper.h"

namespace stagger::cli {

struct DaemonSpec {
  std::string socket;
  std::string policy;         // empty: the daemon's default
  std::string concurrency;    // a number, or "auto"; empty: the daemon's default
  std::string demand_limit;   // empty: none
  std::string spacing_ms;     // under `spaced`; empty: the daemon's default
  std::string devices;        // as staggerd takes it; empty: its default
  std::string mps;            // likewise
  Environment environment{};  // set on top of ours
  std::string http = "off";
  std::string err_file;  // its log; empty: a pipe to read from process()
};

class PrivateDaemon {
 public:
  // Returns when it answers. The error holds the daemon's own last words.
  static Result<PrivateDaemon> Start(const Installation& installation, const DaemonSpec& spec,
                                     Keeper& keeper);
  PrivateDaemon(PrivateDaemon&&) noexcept = default;
  PrivateDaemon& operator=(PrivateDaemon&&) noexcept = default;
  ~PrivateDaemon();

  const std::string& socket() const { return socket_; }
  ChildProcess& process() { return process_; }
  // CPU time it took in all, if it ended well.
  std::optional<ExitStatus> Stop();

 private:
  PrivateDaemon(std::string socket, ChildProcess process, Keeper& keeper)
      : socket_(std::move(socket)), process_(std::move(process)), keeper_(&keeper) {}
  std::string socket_;
  ChildProcess process_;
  Keeper* keeper_;
};

// The last line with something in it, for error messages; empty if there is none.
std::string LastLine(const std::string& path);

}  // namespace stagger::cli
