// Plays the second preloaded library: does to the agent's interface what the lines on stdin say,
// one line of answer each (agent/interface.h).
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include "agent/interface.h"
#include "model.h"

namespace {

const StaggerAgentInterface* agent = nullptr;

std::mutex mutex;  // of the output and the tickets
std::map<std::string, StaggerTicket> tickets;

void Answer(const std::string& line) {
  const std::lock_guard lock(mutex);
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

int DeviceOf(const std::string& last_byte) {
  std::uint8_t uuid[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0};
  uuid[15] = static_cast<std::uint8_t>(std::stoi(last_byte));
  return agent->device_of(uuid);
}

// On a thread of its own: several may wait at once.
void Enter(const std::string& name, std::uint32_t device) {
  std::thread([name, device] {
    const StaggerTicket ticket = agent->enter(device, 2'000'000);
    {
      const std::lock_guard lock(mutex);
      tickets[name] = ticket;
    }
    Answer(name + (ticket.seq != 0 ? " entered" : " uncontrolled"));
  }).detach();
}

StaggerTicket Take(const std::string& name) {
  const std::lock_guard lock(mutex);
  return tickets.at(name);
}

// ---- filters

std::atomic<int> asked{0};

template <int kNumber>
void* Filter(void*, const char* name, StaggerDlsym) {
  ++asked;
  const std::string own = "stagger_test_" + std::to_string(kNumber);
  return name == own ? reinterpret_cast<void*>(&Filter<kNumber>) : nullptr;
}

// Answers with another function that it finds with `real`.
void* Redirect(void* handle, const char* name, StaggerDlsym real) {
  ++asked;
  if (std::strcmp(name, "stagger_test_getpid") != 0) return nullptr;
  return real(handle, "getpid");
}

std::string Filters() {
  for (const StaggerDlsymFilter filter :
       {&Redirect, &Filter<1>, &Filter<2>, &Filter<3>, &Filter<4>}) {
    agent->add_dlsym_filter(filter);
  }
  asked = 0;
  std::ostringstream out;
  using Pid = pid_t (*)();
  const auto redirected = reinterpret_cast<Pid>(dlsym(RTLD_DEFAULT, "stagger_test_getpid"));
  out << "redirected " << (redirected != nullptr && redirected() == getpid());
  out << " third " << (dlsym(RTLD_DEFAULT, "stagger_test_3") == &Filter<3>);
  out << " fifth " << (dlsym(RTLD_DEFAULT, "stagger_test_4") != nullptr);
  asked = 0;
  out << " next " << (dlsym(RTLD_NEXT, "stagger_test_1") != nullptr);
  out << " asked " << asked;
  const auto plain = reinterpret_cast<Pid>(dlsym(RTLD_DEFAULT, "getpid"));
  out << " plain " << (plain != nullptr && plain() == getpid()) << " asked " << asked;
  dlsym(RTLD_DEFAULT, "stagger_test_nothing");
  out << " error " << (dlerror() != nullptr);
  return out.str();
}

// ---- depth

std::atomic<int> deepest{0};

void Log(void*, OrtLoggingLevel, const char*, const char*, const char*, const char*) {
  const int depth = agent->framework_depth();
  if (depth > deepest) deepest = depth;
}

std::string Depth(const char* path) {
  Model model(OrtGetApiBase()->GetApi(16), path, {.threads = 1, .logger = &Log});
  std::ostringstream out;
  out << "outside " << deepest;
  model.Run(16);
  out << " inside " << deepest << " after " << agent->framework_depth();
  return out.str();
}

std::string Fork() {
  const pid_t child = fork();
  if (child == 0) {
    const bool holds = agent->attached() || agent->enter(1, 0).seq != 0;
    _exit(holds ? 1 : 0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return "child " + std::to_string(status);
}

void Do(const std::string& verb, std::istringstream& words, const char* model) {
  std::string name;
  std::uint32_t number = 0;
  if (verb == "attach") {
    while (!agent->attached()) {
      agent->nudge();
      usleep(1000);
    }
    Answer("attached");
  } else if (verb == "device") {
    words >> name;
    Answer(std::to_string(DeviceOf(name)));
  } else if (verb == "enter") {
    words >> name >> number;
    Enter(name, number);
  } else if (verb == "leave") {
    std::uint64_t call_ns = 0;
    words >> name >> call_ns;
    agent->leave(Take(name), call_ns);
    Answer(name + " left");
  } else if (verb == "ended") {
    std::uint64_t post_ns = 0;
    std::uint64_t call_ns = 0;
    words >> number >> post_ns >> call_ns;
    agent->ended(number, post_ns, call_ns);
    Answer("ended");
  } else if (verb == "warmup") {
    agent->count_warmup();
    Answer("counted");
  } else if (verb == "say") {
    words >> number >> name;
    agent->say_once(static_cast<int>(number), name.c_str());
    Answer("said");
  } else if (verb == "filters") {
    Answer(Filters());
  } else if (verb == "depth") {
    Answer(Depth(model));
  } else if (verb == "fork") {
    Answer(Fork());
  } else {
    Answer("unknown: " + verb);
  }
}

}  // namespace

int main(int argc, char** argv) {
  agent = static_cast<const StaggerAgentInterface*>(dlsym(RTLD_DEFAULT, "stagger_agent_interface"));
  if (argc != 2 || agent == nullptr || agent->size != sizeof *agent) return 2;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    Do(verb, words, argv[1]);
  }
  std::_Exit(0);  // threads may still wait
}
