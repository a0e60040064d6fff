#include "agent/state.h"

#include <pthread.h>

#include <new>
#include <string>

#include "agent/forward/remote.h"
#include "agent/say.h"

namespace stagger::agent {
namespace {

State* state = nullptr;
alignas(State) unsigned char storage[sizeof(State)];
pthread_once_t once = PTHREAD_ONCE_INIT;

}  // namespace

State::State() : route(&gate), link(&options, &gate, &route) {
  std::string complaint;
  options = ReadOptions(&complaint);
  SetQuiet(options.quiet);
  if (options.forwards) {
    route.Begin(options.executors);
    gate.ListenFor(&route);
  }
  if (!complaint.empty()) SayOnce(Topic::kOptions, complaint);
}

State& State::Get() {
  pthread_once(&once, [] {
    state = ::new (storage) State();
    // A fork in the middle of a hook must leave the child with usable locks and nothing held.
    pthread_atfork(
        []() NO_THREAD_SAFETY_ANALYSIS {
          state->sessions.BeforeFork();
          state->link.BeforeFork();
          state->route.BeforeReportsFork();
          state->gate.BeforeFork();
          state->route.BeforeFork();
          Remote::BeforeFork();
        },
        []() NO_THREAD_SAFETY_ANALYSIS {
          Remote::AfterForkInParent();
          state->route.AfterForkInParent();
          state->gate.AfterForkInParent();
          state->link.AfterForkInParent();
          state->sessions.AfterForkInParent();
        },
        []() NO_THREAD_SAFETY_ANALYSIS {
          Remote::AfterForkInChild();
          state->route.AfterForkInChild();
          state->gate.AfterForkInChild();
          state->link.AfterForkInChild();
          state->sessions.AfterForkInChild();
        });
  });
  return *state;
}

}  // namespace stagger::agent
