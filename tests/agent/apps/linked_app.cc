// An app that links the runtime. `linked_app MODE MODEL [...]`; what it prints depends on nothing
// but its arguments. "pause" on stdout means that it waits for a line on stdin.
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "model.h"

extern char** environ;

namespace {

const OrtApi* Api() { return OrtGetApiBase()->GetApi(16); }

void Pause() {
  std::puts("pause");
  std::fflush(stdout);
  char line[16];
  if (std::fgets(line, sizeof line, stdin) == nullptr) std::exit(5);
}

void Print(int i, float value) {
  std::printf("%d %.6f\n", i, static_cast<double>(value));
  std::fflush(stdout);
}

// N inferences of SIZE, a pause before each numbered one that follows.
int RunMany(const char* path, int count, int size, int argc, char** argv) {
  Model model(Api(), path);
  for (int i = 0; i < count; ++i) {
    for (int k = 0; k < argc; ++k) {
      if (std::atoi(argv[k]) == i) Pause();
    }
    Print(i, model.Run(size));
  }
  return 0;
}

int Threads(const char* path, int count) {
  Model first(Api(), path);
  Model second(Api(), path);
  std::atomic<int> good{0};
  first.Run(64);
  Pause();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < count; ++i) {
        if ((t % 2 != 0 ? first : second).Run(64) == 1.0f / 64) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("good %d\n", good.load());
  return 0;
}

int Kinds(const char* path, int count) {
  Model model(Api(), path, {2, false});
  for (int i = 0; i < count; ++i) {
    if (i == 5) Pause();
    Print(i, model.Run(32));
    Print(i, model.RunAsync(32));
    Print(i, model.RunWithBinding(32));
  }
  return 0;
}

int Fork(const char* path) {
  Model model(Api(), path);
  for (int i = 0; i < 5; ++i) Print(i, model.Run(32));
  Pause();
  const pid_t child = fork();
  if (child == 0) {
    Model own(Api(), path);
    for (int i = 100; i < 300; ++i) Print(i, own.Run(32));
    _exit(6);
  }
  int status = 0;
  waitpid(child, &status, 0);
  std::printf("child %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  for (int i = 5; i < 10; ++i) Print(i, model.Run(32));
  return 0;
}

int Spawn(const char* path) {
  Model model(Api(), path);
  for (int i = 0; i < 5; ++i) Print(i, model.Run(32));
  Pause();
  char self[] = "/proc/self/exe", mode[] = "run", count[] = "200", size[] = "32";
  std::string copy = path;
  char* argv[] = {self, mode, copy.data(), count, size, nullptr};
  pid_t child = 0;
  if (posix_spawn(&child, self, nullptr, nullptr, argv, environ) != 0) return 8;
  int status = 0;
  waitpid(child, &status, 0);
  std::printf("child %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  for (int i = 5; i < 10; ++i) Print(i, model.Run(32));
  return 0;
}

// Closes all it does not know and takes the numbers for files of its own.
int CloseFrom(const char* path, const char* folder) {
  Model model(Api(), path);
  for (int i = 0; i < 5; ++i) Print(i, model.Run(32));
  Pause();
  closefrom(3);
  const std::string name = std::string(folder) + "/file";
  const int low = open(name.c_str(), O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
  std::vector<int> fds{low};
  for (int from : {20, 500, 500, 500, 500}) fds.push_back(fcntl(low, F_DUPFD_CLOEXEC, from));
  std::printf("fds");
  for (int fd : fds) std::printf(" %d", fd);
  std::printf("\n");
  for (int i = 5; i < 25; ++i) {
    Print(i, model.Run(32));
    if (write(fds[static_cast<std::size_t>(i) % fds.size()], "x", 1) != 1) return 9;
  }
  Pause();
  for (int i = 25; i < 35; ++i) Print(i, model.Run(32));
  struct stat info {};
  std::string content(100, ' ');
  const ssize_t length = pread(low, content.data(), content.size(), 0);
  content.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  for (int fd : fds) {
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return 10;
  }
  std::printf("file %s\n", content.c_str());
  std::fflush(stdout);
  _exit(0);  // the runtime, too, misses its files when it is torn down
}

int ExitInBody(const char* path) {
  Model* model = new Model(Api(), path);
  std::atomic<bool> running{false};
  Print(0, model->Run(32));
  Pause();
  std::thread([&] {
    running = true;
    model->Run(3000);  // many seconds: the runtime may not be torn down under a starting body
  }).detach();
  while (!running) std::this_thread::yield();
  // Well inside the long body, that is: the process has computed for a while since.
  const std::clock_t start = std::clock();
  while (std::clock() - start < CLOCKS_PER_SEC / 10) std::this_thread::yield();
  Pause();
  // The runtime's own destructors crash under a running body in about one exit of a hundred, with
  // and without the agent (4 of 400 bare runs). Leaving before they run keeps the code ours to
  // judge.
  std::atexit([] { _exit(3); });
  std::exit(3);
}

int Versions() {
  const OrtApiBase* base = OrtGetApiBase();
  for (unsigned v = 1; v <= ORT_API_VERSION; ++v) {
    std::printf("%u %s\n", v, base->GetApi(v) != nullptr ? "yes" : "no");
  }
  std::printf("1000 %s\n", base->GetApi(1000) != nullptr ? "yes" : "no");
  std::printf("%s\n", base->GetVersionString());
  return 0;
}

int Never(const char* path) {
  Model model(Api(), path);
  Pause();
  return 0;
}

int Chosen(const char* path, const char* what) {
  Settings settings;
  if (std::strcmp(what, "one-thread") == 0) settings.threads = 1;
  if (std::strcmp(what, "three-threads") == 0) settings.threads = 3;
  if (std::strcmp(what, "spinning") == 0) settings.spinning = true;
  Model model(Api(), path, settings);
  for (int i = 0; i < 5; ++i) Print(i, model.Run(32));
  Pause();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string mode = argv[1];
  const char* path = argv[2];
  if (mode == "run" && argc >= 5) {
    return RunMany(path, std::atoi(argv[3]), std::atoi(argv[4]), argc - 5, argv + 5);
  }
  if (mode == "threads") return Threads(path, std::atoi(argv[3]));
  if (mode == "kinds") return Kinds(path, std::atoi(argv[3]));
  if (mode == "fork") return Fork(path);
  if (mode == "spawn") return Spawn(path);
  if (mode == "closefrom") return CloseFrom(path, argv[3]);
  if (mode == "exit-in-body") return ExitInBody(path);
  if (mode == "versions") return Versions();
  if (mode == "never") return Never(path);
  if (mode == "chosen") return Chosen(path, argv[3]);
  return 2;
}
