// Reads a camera or a file: decodes it and hands out each picture with its time. A file is played
// in real time; a camera that goes away is called again, 0.5 s later, then 1, 2 ... 10.
// Lives on the main thread and its GLib loop; pictures come on a thread of GStreamer's. Must never
// end the program because a camera is gone.
#pragma once

#include <gst/gst.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "relay/endpoints.h"

namespace stagger::relay {

class Source {
 public:
  struct Callbacks {
    // On the source's thread. A time is when the picture was due, on GStreamer's system clock.
    std::function<void(GstSample*, TimePoint)> picture;
    // On the main thread, once: the file is over, or nothing can be had from this source.
    std::function<void(Result<void>)> ended;
  };

  Source(Origin origin, bool loop, Callbacks callbacks);
  ~Source();  // no picture comes afterwards
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  void Start();
  // How often a lost source came back.
  int returns() const { return returns_; }

 private:
  void Open();
  void Close();
  void Lost(const std::string& why);
  void Fail(std::string why);
  void NoteReturn();
  void WatchForSilence();
  // Seeks to the start; pictures then follow without a gap. False: this file cannot.
  bool Rewind(bool flush);

  gboolean OnMessage(GstMessage* message);
  GstFlowReturn OnSample();
  GstPadProbeReturn OnEvent(GstPadProbeInfo* info);

  const Origin origin_;
  const bool loop_;
  const Callbacks callbacks_;

  GstElement* pipeline_ = nullptr;
  GstElement* sink_ = nullptr;
  guint retry_timer_ = 0;
  guint silence_timer_ = 0;
  bool asked_for_segments_ = false;
  std::string missing_;  // the plugin that this source needs and that is not here

  // On the source's thread, in running time: of the latest picture, and when that picture is over.
  GstClockTime latest_ = 0;
  GstClockTime over_ = GST_CLOCK_TIME_NONE;

  std::atomic<std::int64_t> last_picture_ns_{0};  // of this connection, GStreamer's clock; 0: none
  TimePoint opened_;
  TimePoint lost_at_;
  bool lost_ = false;
  int failures_ = 0;
  int returns_ = 0;
};

}  // namespace stagger::relay
