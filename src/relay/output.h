// Where frames go. Frames come on the source's thread; all else is called on the main thread.
// Must never make Push wait: a client that does not keep up loses frames, and no other client does.
#pragma once

#include <gst/gst.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "relay/options.h"

namespace stagger::relay {

class Output {
 public:
  virtual ~Output() = default;

  // A raw picture with its caps, and its time on GStreamer's system clock.
  virtual void Push(GstSample* sample, TimePoint at) = 0;
  // No more frames come. Those under way are still sent.
  virtual void Finish() = 0;
  // After Finish: whether all frames have been handed to the network.
  virtual bool finished() = 0;

  // Where clients find it.
  virtual std::string url() const = 0;
  // Clients that came, so far.
  virtual int clients() const = 0;
};

// Listens before it returns. Errors: the port is taken, the host is none of this machine's, a
// plugin is missing.
Result<std::unique_ptr<Output>> OpenRtspOutput(const Options& options);
Result<std::unique_ptr<Output>> OpenMjpegOutput(const Options& options);

}  // namespace stagger::relay
