// Puts the passes of a file that is played again and again one after the other, to the picture.
// GStreamer lets a pass begin when the last picture of the one before begins, not when that is
// over. Works inside the pad it is attached to, on the thread that feeds it; must outlive that
// thread.
#pragma once

#include <gst/gst.h>

namespace stagger::relay {

class PassJoiner {
 public:
  // Before anything flows there. What was learned of an earlier pad is forgotten.
  void Attach(GstPad* pad);

 private:
  static GstPadProbeReturn OnProbe(GstPad* pad, GstPadProbeInfo* info, gpointer self);
  void Place(GstPadProbeInfo* info);
  void Note(const GstBuffer* buffer);

  GstSegment pass_;
  GstClockTime latest_ = GST_CLOCK_TIME_NONE;  // running time of the latest picture
  GstClockTime end_ = GST_CLOCK_TIME_NONE;     // and when it is over
};

}  // namespace stagger::relay
