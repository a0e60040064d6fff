// pipeline: N. Call i starts frame i and returns the result of frame i - N, so that an app which
// calls one frame at a time keeps N + 1 executors busy. The first N calls return frame 0's. Results
// come in order and are never mixed. For sessions that one thread calls; others are refused.
#pragma once

#include <onnxruntime_c_api.h>
#include <sys/types.h>

#include <atomic>
#include <deque>
#include <vector>

#include "agent/hooks/split.h"

namespace stagger::agent {

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
    Part part;                      // its slot holds the outputs, once done
    std::vector<std::byte> inputs;  // of one that has lost its executor
    bool under_way = false;
    std::vector<OrtValue*> values;  // instead of a slot's: computed in this process
  };

  OrtStatus* Start(Forwarded& forwarded, const Call& call, Frame* frame);
  OrtStatus* Finish(Forwarded& forwarded, Frame* frame);
  static OrtStatus* Hand(Forwarded& forwarded, const Frame& frame, const Call& call);
  static OrtStatus* ComputeHere(Forwarded& forwarded, Frame* frame);

  std::atomic<pid_t> caller_{0};  // the one thread
  std::deque<Frame> frames_;
  const OrtApi* api_ = nullptr;
};

}  // namespace stagger::agent
