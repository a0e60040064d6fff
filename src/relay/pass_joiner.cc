#include "relay/pass_joiner.h"

namespace stagger::relay {

void PassJoiner::Attach(GstPad* pad) {
  gst_segment_init(&pass_, GST_FORMAT_TIME);
  latest_ = end_ = GST_CLOCK_TIME_NONE;
  gst_pad_add_probe(
      pad,
      static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM |
                                   GST_PAD_PROBE_TYPE_EVENT_FLUSH | GST_PAD_PROBE_TYPE_BUFFER),
      OnProbe, this, nullptr);
}

GstPadProbeReturn PassJoiner::OnProbe(GstPad*, GstPadProbeInfo* info, gpointer self) {
  auto* joiner = static_cast<PassJoiner*>(self);
  if ((info->type & GST_PAD_PROBE_TYPE_BUFFER) != 0) {
    joiner->Note(GST_PAD_PROBE_INFO_BUFFER(info));
  } else if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_FLUSH_STOP) {
    joiner->latest_ = joiner->end_ = GST_CLOCK_TIME_NONE;
  } else if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_SEGMENT) {
    joiner->Place(info);
  }
  return GST_PAD_PROBE_OK;
}

void PassJoiner::Place(GstPadProbeInfo* info) {
  GstEvent* event = GST_PAD_PROBE_INFO_EVENT(info);
  gst_event_copy_segment(event, &pass_);
  if (pass_.format != GST_FORMAT_TIME || !GST_CLOCK_TIME_IS_VALID(end_)) return;
  pass_.base = end_;
  GstEvent* placed = gst_event_new_segment(&pass_);
  gst_event_set_seqnum(placed, gst_event_get_seqnum(event));
  gst_event_unref(event);
  GST_PAD_PROBE_INFO_DATA(info) = placed;
}

void PassJoiner::Note(const GstBuffer* buffer) {
  if (pass_.format != GST_FORMAT_TIME || !GST_BUFFER_PTS_IS_VALID(buffer)) return;
  const GstClockTime at =
      gst_segment_to_running_time(&pass_, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
  if (!GST_CLOCK_TIME_IS_VALID(at)) return;
  GstClockTime lasts = 0;
  if (GST_BUFFER_DURATION_IS_VALID(buffer)) {
    lasts = GST_BUFFER_DURATION(buffer);
  } else if (GST_CLOCK_TIME_IS_VALID(latest_) && at > latest_) {
    lasts = at - latest_;
  }
  latest_ = at;
  end_ = at + lasts;
}

}  // namespace stagger::relay
