// Times that two programs must agree on. A program that waits for another one, and the program that
// is waited for, read the same constant here; docs/timers.md has these and all other timers, with
// why each is that long.
//
// A running app keeps the agent that it started with, so an agent may be older than its daemon. A
// time that an older agent must hear of is sent in a message, as Config::wait_bound, Grant::lease
// and RetryAfter::after are; the values here are what each version begins with.
#pragma once

#include "base/time.h"

namespace stagger::wire {

// ---- agent and daemon ----

// A client that has connected and says nothing is dropped after so long.
inline constexpr Duration kGreetingLimit = std::chrono::seconds{5};
// A greeting that the daemon has not answered for so long has failed; the agent comes again.
inline constexpr Duration kWelcomeLimit = std::chrono::seconds{1};
static_assert(kWelcomeLimit < kGreetingLimit);
// After Refused the agent comes again in so long: a daemon that is upgraded, or rolled back, gets
// its apps back without a restart of theirs.
inline constexpr Duration kAfterRefused = std::chrono::seconds{30};
// What an agent makes of RetryAfter::after. Never so soon that many refused agents keep a daemon
// busy; never so late that a mistake leaves an app alone.
inline constexpr Duration kSoonestRetry = std::chrono::milliseconds{100};
inline constexpr Duration kLatestRetry = kAfterRefused;
// What a daemon with all places taken says in RetryAfter::after.
inline constexpr Duration kNoRoomRetry = std::chrono::seconds{5};
static_assert(kSoonestRetry <= kNoRoomRetry && kNoRoomRetry <= kLatestRetry);
// The end of an inference waits at most so long for the next request to travel with; until then
// the daemon's figures lack it.
inline constexpr Duration kTellEndedWithin = std::chrono::milliseconds{100};

// ---- command line and daemon ----

// A command is answered within this; a client that does not take its answer for so long is dropped.
inline constexpr Duration kAnswerLimit = std::chrono::seconds{5};
// Every process that a GPU's fault broke has noticed by then, each at its next GPU call. The daemon
// then logs the fault, and `stagger up` judges by it which app comes back when.
inline constexpr Duration kFaultGather = std::chrono::milliseconds{500};
// A daemon that is being stopped ends within this, or `stagger up` kills it.
inline constexpr Duration kDaemonStopLimit = std::chrono::seconds{2};
// So long of it may go to NVIDIA's control daemon, which the daemon stops before itself.
inline constexpr Duration kMpsQuitLimit = std::chrono::milliseconds{1500};
static_assert(kMpsQuitLimit < kDaemonStopLimit);
// A daemon that was started takes clients within this, or its start has failed.
inline constexpr Duration kDaemonStartLimit = std::chrono::seconds{10};
// So long of it may go to the start of NVIDIA's control daemon.
inline constexpr Duration kMpsLaunchLimit = std::chrono::seconds{5};
static_assert(kMpsLaunchLimit < kDaemonStartLimit);

// ---- executor, and the agent and the daemon that use it ----

// An executor that has not answered for so long hangs: the agent runs the inference in its app, the
// daemon gives the streams other places. The agent allows more where inferences themselves are
// long.
inline constexpr Duration kExecutorPatience = std::chrono::seconds{10};

}  // namespace stagger::wire
