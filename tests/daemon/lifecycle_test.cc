// Starting and leaving.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "daemon/daemon_process.h"
#include "daemon/wire_client.h"

namespace stagger::daemon_test {
namespace {

using nlohmann::json;

TEST(Lifecycle, LeavesThoughClientsStayAndTakesItsSocketAlong) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    DaemonProcess daemon({"--http", "127.0.0.1:0"});
    WireClient client(daemon.socket(), "gate");
    EXPECT_EQ(daemon.Stop(signal).code, 0);
    EXPECT_FALSE(std::filesystem::exists(daemon.socket()));
    EXPECT_TRUE(client.WaitClosed());
  }
}

TEST(Lifecycle, StopsOnCommand) {
  DaemonProcess daemon;
  EXPECT_TRUE(Command(daemon.socket(), "stop").ok);
  EXPECT_EQ(daemon.Stop(0).code, 0);
  EXPECT_FALSE(std::filesystem::exists(daemon.socket()));
}

TEST(Lifecycle, TheSecondDaemonOnASocketFailsAndTheFirstGoesOn) {
  const DaemonProcess daemon;
  const Exit second = RunDaemon({"--socket", daemon.socket(), "--http", "off"});
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(second.err.find("already running at " + daemon.socket()), std::string::npos)
      << second.err;
  const WireClient client(daemon.socket(), "gate");
}

TEST(Lifecycle, ReplacesTheSocketOfADaemonThatWasKilled) {
  DaemonProcess daemon;
  daemon.Stop(SIGKILL);
  EXPECT_TRUE(std::filesystem::exists(daemon.socket()));
  daemon.Start();
  const WireClient client(daemon.socket(), "gate");
}

TEST(Lifecycle, TheSocketIsTheUsersAlone) {
  const DaemonProcess daemon;
  struct stat info {};
  ASSERT_EQ(stat(daemon.socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(Lifecycle, SaysInOneLineWhatIsWrong) {
  const TempDir dir;
  const std::string config = dir.File("c.yaml");
  std::ofstream(config) << "policy: fifo\n\nsokcet: /tmp/x\n";
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"--nonesuch"}, "nonesuch"},
      {{"--policy", "nonesuch"}, "fifo"},
      {{"--concurrency", "many"}, "whole number"},
      {{"--http", "here"}, "HOST:PORT"},
      {{"--lease-floor", "0"}, "1 to 60000 ms"},
      {{"--config", config}, config + ":3: unknown key 'sokcet'"},
      {{"--config", dir.File("none.yaml")}, "cannot read"}};
  for (const auto& [args, expected] : cases) {
    const Exit exit = RunDaemon(args);
    EXPECT_EQ(exit.code, 2) << exit.err;
    EXPECT_NE(exit.err.find(expected), std::string::npos) << exit.err;
    EXPECT_EQ(std::count(exit.err.begin(), exit.err.end(), '\n'), 1) << exit.err;
  }
}

TEST(Lifecycle, TellsSystemd) {
  const TempDir dir;
  const std::string path = dir.File("notify");
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  {
    const DaemonProcess daemon;
    unsetenv("NOTIFY_SOCKET");
    char text[32] = {};
    EXPECT_EQ(recv(fd.get(), text, sizeof text - 1, 0), 7);
    EXPECT_STREQ(text, "READY=1");
  }
}

struct Timers {
  int all = 0;
  int armed = 0;
};

Timers TimersOf(pid_t pid) {
  Timers timers;
  for (const auto& file :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fdinfo")) {
    std::ifstream info(file.path());
    std::string line;
    while (std::getline(info, line)) {
      if (line.rfind("it_value:", 0) != 0) continue;
      ++timers.all;
      if (line != "it_value: (0, 0)") ++timers.armed;
    }
  }
  return timers;
}

// The loop waits without a limit, so only a client or a timer wakes it.
TEST(Lifecycle, SleepsWhileNothingHappens) {
  const DaemonProcess daemon({"--http", "127.0.0.1:0"});
  WireClient client(daemon.socket(), "gate");
  client.Request(1);
  ASSERT_TRUE(client.Await<wire::Grant>());
  client.Release(1);
  daemon.AwaitStatus([](const json& s) { return s["streams"][0]["done"] == 1; });
  EXPECT_GT(TimersOf(daemon.pid()).all, 0);
  EXPECT_TRUE(WaitUntil([&] { return TimersOf(daemon.pid()).armed == 0; }));
}

}  // namespace
}  // namespace stagger::daemon_test
