#include "daemon/daemon_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/fd.h"
#include "daemon/wire_client.h"

namespace stagger::daemon_test {

namespace {

pid_t Spawn(const std::vector<std::string>& args, const Environment& environment, int ready_fd,
            const std::string& log, int log_fd = -1) {
  std::vector<std::string> words = {STAGGERD_PATH};
  words.insert(words.end(), args.begin(), args.end());
  if (ready_fd >= 0) words.insert(words.end(), {"--ready-fd", std::to_string(ready_fd)});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
#ifdef __SANITIZE_THREAD__
  setenv("TSAN_OPTIONS", "atexit_sleep_ms=0", 0);  // by default every exit takes a second longer
#endif
  const int err =
      log_fd >= 0 ? log_fd : open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(err, STDERR_FILENO);
  if (ready_fd >= 0) fcntl(ready_fd, F_SETFD, 0);
  execv(argv[0], argv.data());
  _exit(127);
}

int WaitFor(pid_t pid) {
  int status = 0;
  if (!WaitUntil([&] { return waitpid(pid, &status, WNOHANG) != 0; })) {
    ADD_FAILURE() << "staggerd did not end";
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Up to a newline, the end of the file, or the limit.
std::string ReadLine(int fd) {
  std::string line;
  const auto end = std::chrono::steady_clock::now() + kLimit;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd ready{fd, POLLIN, 0};
    if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) return line;
    char c = 0;
    if (read(fd, &c, 1) != 1 || c == '\n') return line;
    line += c;
  }
}

}  // namespace

bool WaitUntil(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kLimit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return true;
}

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "staggerd-test-XXXXXX").string();
  path_ = mkdtemp(name.data());
}

TempDir::~TempDir() { std::filesystem::remove_all(path_); }

DaemonProcess::DaemonProcess(std::vector<std::string> args, Environment environment, int log_fd)
    : socket_(dir_.File("daemon.sock")),
      args_(std::move(args)),
      environment_(std::move(environment)),
      log_fd_(log_fd) {
  args_.insert(args_.begin(), {"--socket", socket_});
  if (std::find(args_.begin(), args_.end(), "--http") == args_.end()) {
    args_.insert(args_.end(), {"--http", "off"});
  }
  Start();
}

DaemonProcess::~DaemonProcess() {
  if (pid_ > 0) Stop(SIGKILL);
  if (::testing::Test::HasFailure()) std::fprintf(stderr, "daemon's log:\n%s", Log().c_str());
}

void DaemonProcess::Start() {
  int ends[2] = {-1, -1};
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  pid_ = Spawn(args_, environment_, write_end.get(), dir_.File("log"), log_fd_);
  write_end.Reset();
  const std::string line = ReadLine(read_end.get());
  ASSERT_EQ(line.substr(0, 11), "READY http=") << Log();
  http_ = line.substr(11);
}

Exit DaemonProcess::Stop(int signal) {
  kill(pid_, signal);
  const int code = WaitFor(pid_);
  pid_ = -1;
  return {code, Log()};
}

std::string DaemonProcess::Log() const { return ReadFile(dir_.File("log")); }

std::string DaemonProcess::LogWith(const std::string& text) const {
  (void)WaitUntil([&] { return Log().find(text) != std::string::npos; });
  return Log();
}

nlohmann::json DaemonProcess::Status() const {
  return nlohmann::json::parse(Command(socket_, "status").chunk);
}

nlohmann::json DaemonProcess::AwaitStatus(
    const std::function<bool(const nlohmann::json&)>& good) const {
  nlohmann::json status;
  const bool seen = WaitUntil([&] {
    status = Status();
    return good(status);
  });
  EXPECT_TRUE(seen) << "not in time; last: " << status.dump();
  return status;
}

Exit RunDaemon(const std::vector<std::string>& args, const Environment& environment) {
  const TempDir dir;
  const pid_t pid = Spawn(args, environment, -1, dir.File("log"));
  const int code = WaitFor(pid);
  return {code, ReadFile(dir.File("log"))};
}

}  // namespace stagger::daemon_test
