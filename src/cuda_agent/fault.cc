#include "cuda_agent/fault.h"

#include <atomic>
#include <cstddef>
#include <cstdio>

#include "cuda_agent/agent_link.h"
#include "cuda_agent/devices.h"
#include "cuda_agent/real_driver.h"

namespace stagger::cuda_agent {
namespace {

constexpr int kLackingTopic = 1;
constinit std::atomic<bool> told{false};

// The driver's manual says of these: "the process must be terminated and relaunched". Others, like
// a lack of memory, are the call's own.
bool IsForGood(CUresult result) {
  switch (static_cast<int>(result)) {
    case 46:   // device unavailable
    case 214:  // uncorrectable memory error
    case 220:  // NVLink
    case 700:  // illegal address
    case 702:  // launch timeout
    case 710:  // assertion
    case 714:  // hardware stack
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // invalid address space
    case 718:  // invalid program counter
    case 719:  // launch failed
    case 806:  // MPS: its server does not answer
    case 810:  // MPS: another client's fault
      return true;
    default:
      return false;
  }
}

void SayLacking(std::size_t at) {
  char line[160];
  std::snprintf(line, sizeof line,
                "the CUDA driver has no %s (is it older than the app expects?): the call fails",
                cuda::kCalls[at].symbol.data());
  Agent().say_once(kLackingTopic, line);
}

}  // namespace

void NoteError(std::size_t at, CUresult result) {
  if (result == CUDA_ERROR_NOT_FOUND && Real(at) == nullptr) return SayLacking(at);
  if (!IsForGood(result) || told.exchange(true)) return;
  // An agent of another installation may be older.
  if (Agent().size < offsetof(StaggerAgentInterface, faulted) + sizeof(Agent().faulted)) return;
  // A broken driver may not say which device it was; -1 then.
  Agent().faulted(CurrentDevice(), static_cast<std::uint32_t>(result));
}

void ForgetFault() { told.store(false); }

}  // namespace stagger::cuda_agent
