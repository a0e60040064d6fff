#include "daemon/view/video_finder.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/clock.h"

namespace stagger::daemon {

namespace {

constexpr Duration kLookEvery = std::chrono::seconds{2};
constexpr std::string_view kListen = "0A";

std::string ReadAll(const char* path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// As /proc/net writes them: host words in hexadecimal, network byte order within each.
bool LoopbackOrAny(std::string_view address) {
  if (address.size() == 8) return address == "00000000" || address.substr(6) == "7F";
  return address == "00000000000000000000000000000000" ||
         address == "00000000000000000000000001000000";
}

int PortOf(pid_t pid, const std::map<unsigned long, int>& ports) {
  const std::string folder = fmt::format("/proc/{}/fd", pid);
  struct stat info {};
  // The folder of another user's process, or of one that forbids it, stays closed to us.
  if (stat(folder.c_str(), &info) != 0 || info.st_uid != geteuid()) return 0;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return 0;
  int found = 0;
  while (const dirent* entry = readdir(dir)) {
    std::array<char, 64> target{};
    const ssize_t n = readlinkat(dirfd(dir), entry->d_name, target.data(), target.size() - 1);
    unsigned long inode = 0;
    if (n <= 0 || std::sscanf(target.data(), "socket:[%lu]", &inode) != 1) continue;
    const auto port = ports.find(inode);
    // Several: the lowest, so that the answer stays the same.
    if (port != ports.end() && (found == 0 || port->second < found)) found = port->second;
  }
  closedir(dir);
  return found;
}

}  // namespace

std::map<unsigned long, int> ListeningPorts(const std::string& proc_net_table) {
  std::map<unsigned long, int> ports;
  std::istringstream lines(proc_net_table);
  std::string line;
  while (std::getline(lines, line)) {
    // "  0: 0100007F:1EC6 00000000:0000 0A 0:0 00:0 0 1000 0 12345 ..."
    std::istringstream words(line);
    std::string slot, local, remote, state, queue, timer, retransmits, uid, timeout;
    unsigned long inode = 0;
    if (!(words >> slot >> local >> remote >> state >> queue >> timer >> retransmits >> uid >>
          timeout >> inode)) {
      continue;
    }
    const std::size_t colon = local.find(':');
    if (state != kListen || colon == std::string::npos) continue;
    if (!LoopbackOrAny(std::string_view(local).substr(0, colon))) continue;
    int port = 0;
    std::from_chars(local.data() + colon + 1, local.data() + local.size(), port, 16);
    if (port > 0) ports[inode] = port;
  }
  return ports;
}

void VideoFinder::Annotate(documents::Status* status) {
  const std::lock_guard lock(mutex_);
  const TimePoint now = Now();
  if (now - looked_ > kLookEvery) {
    looked_ = now;
    ports_.clear();
    std::map<unsigned long, int> listening;
    for (const documents::Stream& stream : status->streams) {
      if (stream.pid <= 0) continue;
      if (listening.empty()) {
        listening = ListeningPorts(ReadAll("/proc/net/tcp"));
        listening.merge(ListeningPorts(ReadAll("/proc/net/tcp6")));
      }
      ports_[stream.pid] = PortOf(stream.pid, listening);
    }
  }
  for (documents::Stream& stream : status->streams) {
    const auto found = ports_.find(stream.pid);
    if (found != ports_.end() && found->second > 0) {
      stream.video = fmt::format("http://127.0.0.1:{}/", found->second);
    }
  }
}

}  // namespace stagger::daemon
