#include "look/process_watch.h"

#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "report/page.h"

namespace stagger::cli {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Stat {
  pid_t parent = 0;
  std::uint64_t started = 0;
  char state = '?';
};

std::optional<Stat> StatOf(pid_t pid) {
  const std::string text = ReadAll(fmt::format("/proc/{}/stat", pid));
  // The name in parentheses may hold anything, parentheses too.
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream rest(text.substr(end + 1));
  Stat stat;
  rest >> stat.state >> stat.parent;
  std::string skipped;
  for (int i = 0; i < 17; ++i) rest >> skipped;
  if (!(rest >> stat.started)) return std::nullopt;
  return stat;
}

std::map<pid_t, Stat> AllProcesses() {
  std::map<pid_t, Stat> all;
  std::error_code failure;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", failure)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto pid = static_cast<pid_t>(std::atol(name.c_str()));
    if (const auto stat = StatOf(pid)) all[pid] = *stat;
  }
  return all;
}

std::string WithSpaces(std::string text) {
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text.substr(0, 300);
}

}  // namespace

void AddMaps(const std::string& maps, WatchedProgram* program) {
  std::map<std::string, int> copies;
  std::istringstream lines(maps);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t slash = line.find('/');
    if (slash == std::string::npos) continue;
    std::istringstream fields(line);
    std::string addresses;
    std::string rights;
    std::string offset;
    fields >> addresses >> rights >> offset;
    const std::string path = line.substr(slash);
    if (rights.find('x') != std::string::npos) program->code.insert(path);
    if (report::Recognise(path) == nullptr) continue;
    const std::string_view file = std::string_view(path).substr(path.rfind('/') + 1);
    program->agent |= file.starts_with("libstagger-agent.so");
    program->cuda_agent |= file.starts_with("libstagger-cuda.so");
    if (offset.find_first_not_of('0') == std::string::npos) ++copies[path];
  }
  for (const auto& [path, count] : copies) {
    program->libraries[path] = std::max(program->libraries[path], count);
  }
}

ProcessWatch::ProcessWatch() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

Duration ProcessWatch::Look(pid_t root) {
  const TimePoint now = Now();
  const pid_t us = getpid();
  const std::map<pid_t, Stat> all = AllProcesses();
  if (first_ == TimePoint{}) {
    first_ = now;
    for (const auto& [pid, stat] : all) {
      if (stat.parent == us && pid != root) not_the_apps_.insert(pid);
    }
  }
  // Children come after their parents here, whatever their numbers.
  std::set<pid_t> found;
  for (bool more = true; more;) {
    more = false;
    for (const auto& [pid, stat] : all) {
      if (found.count(pid) != 0) continue;
      const bool orphan = stat.parent == us && not_the_apps_.count(pid) == 0;
      if (pid != root && !orphan && found.count(stat.parent) == 0 &&
          tracked_.count({pid, stat.started}) == 0) {
        continue;
      }
      found.insert(pid);
      more = true;
    }
  }
  for (const pid_t pid : found) {
    const Stat& stat = all.at(pid);
    tracked_.insert({pid, stat.started});
    if (stat.state == 'Z') {
      if (stat.parent == us && pid != root) waitpid(pid, nullptr, WNOHANG);
      continue;
    }
    Read(pid, stat.parent, stat.started, now);
  }
  // Often while the app starts, when most comes and goes.
  const Duration age = now - first_;
  if (age < std::chrono::seconds{1}) return std::chrono::milliseconds{10};
  return std::chrono::milliseconds{age < std::chrono::seconds{10} ? 50 : 200};
}

void ProcessWatch::Read(pid_t pid, pid_t parent, std::uint64_t started, TimePoint now) {
  std::error_code failure;
  const std::string folder = fmt::format("/proc/{}/", pid);
  std::string exe = fs::read_symlink(folder + "exe", failure).string();
  // Gone, or not alive yet: nothing to tell of it.
  if (failure == std::errc::no_such_file_or_directory) return;
  if (failure) exe.clear();
  Entry& entry = entries_[{pid, started, exe}];
  if (entry.reads == 0) {
    entry.order = entries_.size();
    entry.program.pid = pid;
    entry.program.parent = parent;
    entry.program.program = exe;
    entry.program.command = WithSpaces(ReadAll(folder + "cmdline"));
    const std::string environment = ReadAll(folder + "environ");
    if (!environment.empty()) {
      const std::size_t at = ('\0' + environment).find(std::string(1, '\0') + "LD_PRELOAD=");
      const std::string value =
          at == std::string::npos ? "" : environment.substr(at, environment.find('\0', at) - at);
      entry.program.told_to_preload = value.find("libstagger-agent") != std::string::npos;
    }
  }
  if (now < entry.next) return;
  errno = 0;
  const std::string maps = ReadAll(folder + "maps");
  if (maps.empty() && (errno == EACCES || errno == EPERM)) entry.program.readable = false;
  AddMaps(maps, &entry.program);
  ++entry.reads;
  // Most is loaded while a process starts. Large processes have thousands of mappings.
  entry.next = now + std::chrono::milliseconds{entry.reads < 50 ? 20 : 500};
}

std::vector<WatchedProgram> ProcessWatch::programs() const {
  std::vector<const Entry*> order;
  for (const auto& [key, entry] : entries_) order.push_back(&entry);
  std::sort(order.begin(), order.end(),
            [](const Entry* a, const Entry* b) { return a->order < b->order; });
  std::vector<WatchedProgram> programs;
  programs.reserve(order.size());
  for (const Entry* entry : order) programs.push_back(entry->program);
  return programs;
}

}  // namespace stagger::cli
