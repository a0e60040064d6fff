// pipeline: N. Call i starts frame i and returns the result of frame i - N, so that an app which
// calls one frame at a time keeps N + 1 executors busy. The first N calls return frame 0's. Results
// come in order and are never mixed. For sessions that one thread calls; others are refused.
#pragma once

#include <onnxruntime_c_api.h>
#include <sys/types.h>

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "agent/forward/call.h"
#include "agent/forward/lane.h"

namespace stagger::agent {

struct Forwarded;

class Pipeline {
 public:
  explicit Pipeline() = default;
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // `remote`: an executor computed what is returned.
  OrtStatus* Run(Forwarded& forwarded, const Call& call, bool* remote);

 private:
  // One inference under way, or done.
  struct Frame {
    wire::Layout request;
    std::uint64_t end = 0;       // of its inputs in the lane
    std::unique_ptr<Lane> lane;  // where its inputs lie, and its outputs once done
    bool under_way = false;
    bool done = false;              // the lane's answer is there
    std::vector<OrtValue*> values;  // instead: computed in this process
  };

  OrtStatus* Start(Forwarded& forwarded, const Call& call, Frame* frame);
  OrtStatus* Finish(Forwarded& forwarded, Frame* frame);
  OrtStatus* Hand(Forwarded& forwarded, const Frame& frame, const Call& call);
  OrtStatus* ComputeHere(Forwarded& forwarded, Frame* frame, const OrtValue* const* inputs,
                         std::size_t count);
  void Drop(Forwarded& forwarded, Frame* frame);

  std::atomic<pid_t> caller_{0};  // the one thread
  std::deque<Frame> frames_;
  const OrtApi* api_ = nullptr;
};

}  // namespace stagger::agent
