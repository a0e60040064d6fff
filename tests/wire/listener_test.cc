#include "wire/listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "wire/channel.h"
#include "wire/temp_folder.h"

namespace stagger::wire {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uid_t kOther = 65534;

unsigned ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

gid_t GroupOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info.st_gid;
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

std::string ErrorOf(const std::string& path, const std::string& group = "") {
  const auto listener = Listen(path, group);
  return listener ? "(no error)" : listener.error().message;
}

// A bound socket that may or may not be listened to, as another program could leave it.
UniqueFd Bound(const std::string& path, int type) {
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

TEST(Listen, MakesAPrivateFolderAndSocket) {
  const TempFolder temp;
  const std::string path = temp / "run/d.sock";
  const mode_t old = umask(0);
  const auto listener = Listen(path, "");
  umask(old);
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_EQ(ModeOf(temp / "run"), 0700U);
  EXPECT_EQ(ModeOf(path), 0600U);
  EXPECT_EQ(ModeOf(path + ".lock"), 0600U);
  EXPECT_NE(fcntl(listener->socket.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(listener->socket.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(fcntl(listener->lock.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_TRUE(Connect(path));
}

TEST(Listen, AWidePathFitsAndALongerOneSaysWhatToDo) {
  const TempFolder temp;
  const std::string widest = temp / std::string(kMaxSocketPath - temp.path().size() - 1, 'x');
  ASSERT_EQ(widest.size(), kMaxSocketPath);
  {
    const auto listener = Listen(widest, "");
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_TRUE(Connect(widest));
  }
  const std::string message = ErrorOf(widest + "x");
  EXPECT_THAT(message, AllOf(HasSubstr(widest + "x"), HasSubstr("108 bytes"), HasSubstr("107"),
                             HasSubstr("--socket"), HasSubstr("STAGGER_SOCKET")));
}

TEST(Listen, APathMustNameAFile) {
  const TempFolder temp;
  EXPECT_THAT(ErrorOf(""), HasSubstr("empty"));
  EXPECT_THAT(ErrorOf(temp.path() + "/"), HasSubstr("names a folder"));
  EXPECT_THAT(ErrorOf(temp / ".."), HasSubstr("names a folder"));
  EXPECT_THAT(ErrorOf(temp / "a/b/d.sock"), HasSubstr("cannot make the socket's folder"));
}

TEST(Listen, RefusesWhileADaemonRuns) {
  const TempFolder temp;
  const std::string path = temp / "d.sock";
  auto first = Listen(path, "");
  ASSERT_TRUE(first);
  EXPECT_EQ(ErrorOf(path), "a daemon is already running at " + path);
  EXPECT_TRUE(Connect(path)) << "the refused one disturbed the running one";
  // Between taking the lock and listening, a starting daemon has no socket yet.
  first->socket.Reset();
  unlink(path.c_str());
  EXPECT_EQ(ErrorOf(path), "a daemon is already running at " + path);
}

TEST(Listen, RefusesALiveSocketEvenIfItsLockIsGone) {
  const TempFolder temp;
  const std::string path = temp / "d.sock";
  const auto first = Listen(path, "");
  ASSERT_TRUE(first);
  unlink((path + ".lock").c_str());
  EXPECT_EQ(ErrorOf(path), "a daemon is already running at " + path);
  ASSERT_EQ(listen(first->socket.get(), 0), 0);
  const auto held = Connect(path);  // fills the backlog
  EXPECT_EQ(ErrorOf(path), "a daemon is already running at " + path);
  EXPECT_TRUE(Exists(path));
}

TEST(Listen, ReplacesAStaleSocket) {
  const TempFolder temp;
  const std::string path = temp / "d.sock";
  { const auto died = Listen(path, ""); }
  ASSERT_TRUE(Exists(path));
  const auto listener = Listen(path, "");
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_TRUE(Connect(path));
}

TEST(Listen, LeavesOtherThingsAlone) {
  const TempFolder temp;
  const std::string file = temp / "file";
  std::ofstream(file) << "precious";
  EXPECT_THAT(ErrorOf(file), HasSubstr("is not a socket"));
  EXPECT_TRUE(Exists(file));

  const std::string link = temp / "link";
  ASSERT_EQ(symlink("file", link.c_str()), 0);
  EXPECT_THAT(ErrorOf(link), HasSubstr("is not a socket"));

  const std::string stream = temp / "stream";
  const UniqueFd other = Bound(stream, SOCK_STREAM);
  ASSERT_EQ(listen(other.get(), 1), 0);
  EXPECT_THAT(ErrorOf(stream), HasSubstr("in use by another program"));
  EXPECT_TRUE(Exists(stream));
}

TEST(Listen, RefusesASymlinkedFolder) {
  const TempFolder temp;
  ASSERT_EQ(mkdir((temp / "real").c_str(), 0700), 0);
  ASSERT_EQ(symlink("real", (temp / "link").c_str()), 0);
  EXPECT_THAT(ErrorOf(temp / "link/d.sock"), HasSubstr("symbolic link"));
  ASSERT_EQ(symlink("nowhere", (temp / "dangling").c_str()), 0);
  EXPECT_THAT(ErrorOf(temp / "dangling/d.sock"), HasSubstr("symbolic link"));
  EXPECT_FALSE(Exists(temp / "real/d.sock.lock"));
}

TEST(Listen, RefusesAFolderThatOthersCanWriteTo) {
  const TempFolder temp;
  for (const mode_t mode : {0720, 0702, 0777}) {
    ASSERT_EQ(chmod(temp.path().c_str(), mode), 0);
    EXPECT_THAT(ErrorOf(temp / "d.sock"), HasSubstr("others can write")) << std::oct << mode;
    EXPECT_FALSE(Exists(temp / "d.sock.lock"));
  }
  ASSERT_EQ(chmod(temp.path().c_str(), 01777), 0);
  EXPECT_TRUE(Listen(temp / "d.sock", "")) << "sticky, like /tmp";
}

TEST(Listen, RefusesWhatBelongsToOthers) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const TempFolder temp;
  const std::string folder = temp / "theirs";
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  ASSERT_EQ(chown(folder.c_str(), kOther, kOther), 0);
  EXPECT_THAT(ErrorOf(folder + "/d.sock"), HasSubstr("belongs to user 65534"));

  const std::string path = temp / "d.sock";
  { const UniqueFd stale = Bound(path, SOCK_SEQPACKET); }
  ASSERT_EQ(chown(path.c_str(), kOther, kOther), 0);
  EXPECT_THAT(ErrorOf(path), HasSubstr("is a socket of user 65534"));
  EXPECT_TRUE(Exists(path));

  const std::string locked = temp / "locked";
  std::ofstream(locked + ".lock") << "";
  ASSERT_EQ(chown((locked + ".lock").c_str(), kOther, kOther), 0);
  EXPECT_THAT(ErrorOf(locked), HasSubstr("lock file"));
}

TEST(Listen, NeverFollowsASymlinkForItsLock) {
  const TempFolder temp;
  ASSERT_EQ(symlink("victim", (temp / "d.sock.lock").c_str()), 0);
  EXPECT_THAT(ErrorOf(temp / "d.sock"), HasSubstr("lock file"));
  EXPECT_FALSE(Exists(temp / "victim"));
}

TEST(Listen, OpensToAGroup) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const TempFolder temp;
  const std::string path = temp / "run/d.sock";
  {
    const auto listener = Listen(path, "nogroup");
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(ModeOf(path), 0660U);
    EXPECT_EQ(GroupOf(path), *GroupId("nogroup"));
    EXPECT_EQ(ModeOf(temp / "run"), 0710U);
    EXPECT_EQ(GroupOf(temp / "run"), *GroupId("nogroup"));
  }
  EXPECT_TRUE(Listen(path, std::to_string(*GroupId("nogroup")))) << "again, by number";
}

TEST(Listen, SaysWhenTheGroupCannotGetIn) {
  const TempFolder temp;  // 0700
  const std::string own = std::to_string(getegid());
  EXPECT_THAT(ErrorOf(temp / "d.sock", own),
              AllOf(HasSubstr("group " + own + " cannot enter"), HasSubstr(temp.path())));
  ASSERT_EQ(chmod(temp.path().c_str(), 0710), 0);
  EXPECT_TRUE(Listen(temp / "d.sock", own));
  EXPECT_THAT(ErrorOf(temp / "d.sock", "no-such-group"), HasSubstr("no group 'no-such-group'"));
}

// Many daemons start at once over a stale socket: one gets the path, and it stays usable.
TEST(Listen, OnlyOneOfManyStartsWins) {
  const TempFolder temp;
  const std::string path = temp / "run/d.sock";
  for (int round = 0; round < 10; ++round) {
    int start[2] = {-1, -1};
    int ready[2] = {-1, -1};
    int done[2] = {-1, -1};
    ASSERT_EQ(pipe2(start, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(done, O_CLOEXEC), 0);
    for (int i = 0; i < 8; ++i) {
      if (fork() == 0) {
        char byte = 0;
        close(start[1]);
        close(done[1]);
        (void)!read(start[0], &byte, 1);  // released all at once by the close below
        const auto listener = Listen(path, "");
        // A winner says that it listens and stays until every other child has been reaped.
        if (listener) {
          (void)!write(ready[1], &byte, 1);
          (void)!read(done[0], &byte, 1);
        }
        _exit(listener ? 0 : 1);
      }
    }
    close(start[0]);
    close(start[1]);
    close(ready[1]);  // so that the read below ends even if nobody wins
    int losers = 0;
    for (int i = 0; i < 7; ++i) {
      int status = 0;
      ASSERT_GT(wait(&status), 0);
      losers += WIFEXITED(status) && WEXITSTATUS(status) == 1 ? 1 : 0;
    }
    EXPECT_EQ(losers, 7);
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    EXPECT_TRUE(Connect(path));
    close(ready[0]);
    close(done[0]);
    close(done[1]);
    int status = 1;
    ASSERT_GT(wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
}

}  // namespace
}  // namespace stagger::wire
