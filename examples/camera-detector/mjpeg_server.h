// Shows the newest annotated frame to its viewers, on 127.0.0.1 only:
// / (MJPEG), /snapshot.jpg and /stats.json.
// Publish is called by the main thread; drawing, encoding and sending happen on
// HTTP threads, once per frame and only while someone watches.
// Must never make Publish wait for a viewer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "annotate.h"

namespace camera_detector {

class MjpegServer {
 public:
  // Port 0 picks a free one. `stats` is called on HTTP threads.
  // Throws std::runtime_error when the port cannot be had.
  MjpegServer(int port, std::vector<std::string> labels, std::function<std::string()> stats);

  // Ends all connections, within about a second.
  ~MjpegServer();

  int port() const;
  void Publish(Shot shot);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace camera_detector
