/* What the agent's library offers to a second preloaded library of ours, which sees other calls of
   the app (CUDA's). Plain C: each of the two has a C++ runtime of its own inside. All functions may
   be called on any thread, from the library's constructor on; none throws, and only `enter` waits.
   Nothing has to be done about fork: a child starts with nothing held and no connection.
   Fields are only ever appended. */
#pragma once

/* NOLINTBEGIN(modernize-*): C, by its syntax too. */
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct StaggerTicket {
  uint64_t seq; /* 0: uncontrolled, nothing to give back */
  uint32_t device;
};

typedef void* (*StaggerDlsym)(void* handle, const char* name);
typedef void* (*StaggerDlsymFilter)(void* handle, const char* name, StaggerDlsym real);

struct StaggerAgentInterface {
  uint32_t size; /* of this struct: what is there */

  /* Something infers: connects if that is not done yet. Cheap. */
  void (*nudge)(void);
  bool (*attached)(void);

  /* The number by which the functions below know a GPU; the same for the life of this process.
     -1: not attached, or the daemon does not share it out. */
  int (*device_of)(const uint8_t uuid[16]);

  /* Before a body, `since_call_ns` after its inference began. Waits up to the daemon's bound.
     While the process holds its turn on the device, joins it at once. */
  struct StaggerTicket (*enter)(uint32_t device, uint64_t since_call_ns);
  /* After the body, on any thread. `call_ns`: the whole inference; 0: it goes on, ended() follows.
   */
  void (*leave)(struct StaggerTicket ticket, uint64_t call_ns);
  /* An inference whose body was left with call_ns 0 has returned, `post_ns` after its body. */
  void (*ended)(uint32_t device, uint64_t post_ns, uint64_t call_ns);
  /* An inference ran without asking, while the app warmed up. */
  void (*count_warmup)(void);

  /* One line on stderr per topic (0 to 15, the caller's own) and process, none with STAGGER_QUIET.
   */
  void (*say_once)(int topic, const char* line);

  /* From now on `filter` is asked what dlsym shall answer, for every name and handle but RTLD_NEXT,
     before anything else; null: whatever it would answer otherwise. `real` is dlsym as it is
     without filters. For good; up to four filters, asked in the order they came. */
  void (*add_dlsym_filter)(StaggerDlsymFilter filter);

  /* How many framework calls (ONNX Runtime's Run) the calling thread is inside of: what it computes
     meanwhile belongs to them. */
  int (*framework_depth)(void);

  /* From now on `call` is told when a framework call begins and when it ends, on its thread, both
     outside of everything else of the agent's; of calls within calls only the outermost. At an end
     it answers how many bodies it saw in that call: a session whose calls have bodies of their own
     is not gated at the call as well. For good, and for one. */
  void (*watch_framework)(int (*call)(bool begins));

  /* Whether bodies wait for turns now; false without a daemon, and under policy "off". */
  bool (*gates)(void);

  /* The GPU has failed under this process, for good: every further call of its will fail. Tells the
     daemon. `code` is the driver's; device -1: the only GPU there is, if there is only one. */
  void (*faulted)(int device, uint32_t code);

  /* What the calling thread infers from now on is due in `ns`, whatever the stream's deadline says
     of an inference that begins now; below 0: as that says. Without a stated deadline: nothing. For
     a process that infers for others. */
  void (*due_in)(int64_t ns);
};

extern const struct StaggerAgentInterface stagger_agent_interface;

#ifdef __cplusplus
}
#endif
/* NOLINTEND(modernize-*) */
