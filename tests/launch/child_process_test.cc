// Real children, so a little slower than the other tests here; order and counts only, no timing.
#include "launch/child_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "base/clock.h"
#include "launch/keeper.h"
#include "launch/scratch_dir.h"

namespace stagger::cli {
namespace {

constexpr Duration kLong = std::chrono::seconds{20};

ChildSpec Shell(const std::string& script) {
  ChildSpec spec;
  spec.path = "/bin/sh";
  spec.argv = {"sh", "-c", script};
  return spec;
}

bool WaitUntil(const std::function<bool()>& condition) {
  const TimePoint deadline = Now() + kLong;
  while (!condition()) {
    if (Now() > deadline) return false;
    usleep(2000);
  }
  return true;
}

// Gone, or a zombie that nobody reaps.
bool Ended(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string number;
  std::string name;
  std::string state;
  if (!(file >> number >> name >> state)) return true;
  return state == "Z" || state == "X";
}

class Children : public testing::Test {
 protected:
  void SetUp() override {
    Result<Keeper> keeper = Keeper::Start();
    ASSERT_TRUE(keeper);
    keeper_.emplace(std::move(keeper).value());
    Result<ScratchDir> dir = ScratchDir::Make(*keeper_);
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(dir).value());
  }
  pid_t ReadPid(const std::string& name) {
    std::ifstream file(dir_->File(name));
    pid_t pid = 0;
    file >> pid;
    return pid;
  }
  std::optional<Keeper> keeper_;
  std::optional<ScratchDir> dir_;
};

TEST_F(Children, ExitCodeAndOutput) {
  ChildSpec spec = Shell("echo to out; echo $GREETING >&2; exit 3");
  spec.environment = {{"GREETING", "to err"}};
  spec.out_file = dir_->File("out");
  spec.err_file = dir_->File("err");
  Result<ChildProcess> child = ChildProcess::Start(spec, *keeper_);
  ASSERT_TRUE(child) << child.error().message;
  const auto status = child->WaitUntil(Now() + kLong);
  ASSERT_TRUE(status);
  EXPECT_EQ(ToString(*status), "exit code 3");
  std::string line;
  std::getline(std::ifstream(spec.out_file), line);
  EXPECT_EQ(line, "to out");
  std::getline(std::ifstream(spec.err_file), line);
  EXPECT_EQ(line, "to err");
}

TEST_F(Children, AProgramThatCannotRunIsAnError) {
  ChildSpec spec = Shell("");
  spec.path = "/nonexistent/program";
  const Result<ChildProcess> child = ChildProcess::Start(spec, *keeper_);
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().message, "cannot run '/nonexistent/program': No such file or directory");
}

TEST_F(Children, StoppingTakesGrandchildrenAndTheStubborn) {
  ChildSpec spec =
      Shell("trap '' TERM; sleep 1000 & echo $! > " + dir_->File("pid") + "; wait; sleep 1000");
  Result<ChildProcess> child = ChildProcess::Start(spec, *keeper_);
  ASSERT_TRUE(child);
  ASSERT_TRUE(WaitUntil([&] { return ReadPid("pid") > 0; }));
  const pid_t grandchild = ReadPid("pid");
  StopAll({&*child}, std::chrono::milliseconds{50});
  EXPECT_EQ(ToString(*child->Poll()), "killed by signal 9 (Killed)");
  EXPECT_TRUE(WaitUntil([&] { return Ended(grandchild); }));
}

TEST_F(Children, SignalsAreNotBlockedInThem) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  Result<ChildProcess> child = ChildProcess::Start(Shell("kill -TERM $$; exit 1"), *keeper_);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(child);
  const auto status = child->WaitUntil(Now() + kLong);
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->by_signal);
  EXPECT_EQ(status->code, SIGTERM);
}

// What happens to everything when we are killed outright, as far as it can be seen from outside: a
// process of our own plays the part of `stagger`.
TEST_F(Children, NothingSurvivesOurSigkill) {
  const pid_t victim = fork();
  ASSERT_GE(victim, 0);
  if (victim == 0) {
    Result<Keeper> keeper = Keeper::Start();
    if (!keeper) _exit(1);
    Result<ScratchDir> dir = ScratchDir::Make(*keeper);
    if (!dir) _exit(1);
    Result<ChildProcess> child =
        ChildProcess::Start(Shell("echo $$ > " + dir_->File("child") + "; sleep 1000 & echo $! > " +
                                  dir_->File("grandchild") + "; wait"),
                            *keeper);
    std::ofstream(dir_->File("folder.new")) << dir->File("");
    std::filesystem::rename(dir_->File("folder.new"), dir_->File("folder"));
    while (true) pause();
  }
  ASSERT_TRUE(WaitUntil([&] {
    return ReadPid("child") > 0 && ReadPid("grandchild") > 0 &&
           std::filesystem::exists(dir_->File("folder"));
  }));
  std::string folder;
  std::getline(std::ifstream(dir_->File("folder")), folder);
  ASSERT_TRUE(std::filesystem::exists(folder));
  kill(victim, SIGKILL);
  waitpid(victim, nullptr, 0);
  EXPECT_TRUE(WaitUntil([&] { return Ended(ReadPid("child")) && Ended(ReadPid("grandchild")); }));
  EXPECT_TRUE(WaitUntil([&] { return !std::filesystem::exists(folder); }));
}

}  // namespace
}  // namespace stagger::cli
