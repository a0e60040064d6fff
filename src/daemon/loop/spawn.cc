#include "daemon/loop/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

namespace stagger::daemon {
namespace {

std::vector<std::string> Merged(const SpawnSpec& spec) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (std::ranges::none_of(spec.environment,
                             [&](const auto& mine) { return mine.first == name; })) {
      all.push_back(text);
    }
  }
  for (const auto& [name, value] : spec.environment) {
    all.emplace_back(name).append("=").append(value);
  }
  return all;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size());
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Result<Spawned> Spawn(const SpawnSpec& spec) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Error{std::string("pipe: ") + std::strerror(errno)};
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  // Far less than a pipe holds: this never blocks.
  if (!spec.input.empty() && write(writer.get(), spec.input.data(), spec.input.size()) < 0) {
    return Error{std::string("pipe: ") + std::strerror(errno)};
  }
  writer.Reset();

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, reader.get(), 0);
  posix_spawn_file_actions_addopen(&files, 1, spec.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t pipe_only;
  sigemptyset(&none);
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &pipe_only);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const std::vector<std::string> environment = Merged(spec);
  Spawned process;
  const int failure = posix_spawn(&process.pid, spec.path.c_str(), &files, &attributes,
                                  Pointers(spec.argv).data(), Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (failure != 0) return Error{"cannot run " + spec.path + ": " + std::strerror(failure)};
  process.ended = WatchProcess(process.pid);
  return process;
}

std::optional<int> ExitCodeOf(const Spawned& process) {
  int status = 0;
  if (waitpid(process.pid, &status, WNOHANG) != process.pid) return std::nullopt;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

UniqueFd WatchProcess(pid_t pid) {
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

std::string InPath(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    std::error_code ignored;
    if (access(candidate.c_str(), X_OK) == 0 &&
        std::filesystem::is_regular_file(candidate, ignored)) {
      return candidate;
    }
  }
  return "";
}

}  // namespace stagger::daemon
