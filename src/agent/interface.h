// What the agent's library offers to other preloaded libraries of ours. Plain C: each library has a
// C++ runtime of its own.
#pragma once

#include <stdint.h>

extern "C" {

struct StaggerTicket {
  uint64_t seq;  // 0: uncontrolled, nothing to give back
  uint32_t device;
};

struct StaggerAgentInterface {
  uint32_t size;
  void (*nudge)(void);
  bool (*attached)(void);
  int (*device_of)(const uint8_t uuid[16]);
  struct StaggerTicket (*enter)(uint32_t device, uint64_t since_call_ns);
  void (*leave)(struct StaggerTicket ticket, uint64_t call_ns);
  void (*ended)(uint32_t device, uint64_t post_ns, uint64_t call_ns);
  void (*count_warmup)(void);
  void (*say_once)(int topic, const char* line);
  void (*add_dlsym_filter)(void* (*filter)(void* handle, const char* name,
                                           void* (*real)(void*, const char*)));
  int (*framework_depth)(void);
};

extern const struct StaggerAgentInterface stagger_agent_interface;
}
