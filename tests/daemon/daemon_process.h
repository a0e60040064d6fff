// A staggerd of the test's own, in a temporary folder, gone at the end of the test.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace stagger::daemon_test {

inline constexpr std::chrono::seconds kLimit{30};  // generous: the machine may be busy

// Asks until `condition` holds, with a short pause in between; false after kLimit.
[[nodiscard]] bool WaitUntil(const std::function<bool()>& condition);

class TempDir {
 public:
  TempDir();
  ~TempDir();
  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct Exit {
  int code = -1;  // -1: ended by a signal
  std::string err;
};

// Set for the daemon on top of the test's own environment.
using Environment = std::vector<std::pair<std::string, std::string>>;

class DaemonProcess {
 public:
  // --http off unless given. `log_fd`: where its log goes, instead of a file.
  explicit DaemonProcess(std::vector<std::string> args = {}, Environment environment = {},
                         int log_fd = -1);
  ~DaemonProcess();

  // Starts it (again), and waits until it is ready.
  void Start();
  // Waits for its end; one that does not end within kLimit is killed.
  Exit Stop(int signal);

  const std::string& socket() const { return socket_; }
  const std::string& http() const { return http_; }  // "127.0.0.1:1234" or "off"
  pid_t pid() const { return pid_; }
  std::string Log() const;
  // The log once it has this text: a thread of the daemon's own writes it. After kLimit as it is.
  std::string LogWith(const std::string& text) const;
  nlohmann::json Status() const;  // over the socket
  // The first status for which `good` holds. After kLimit the test has failed, and this is the
  // last.
  nlohmann::json AwaitStatus(const std::function<bool(const nlohmann::json&)>& good) const;

 private:
  TempDir dir_;
  std::string socket_;
  std::vector<std::string> args_;
  Environment environment_;
  int log_fd_;
  std::string http_;
  pid_t pid_ = -1;
};

// Runs staggerd to its end: for what must fail at once.
Exit RunDaemon(const std::vector<std::string>& args, const Environment& environment = {});

}  // namespace stagger::daemon_test
