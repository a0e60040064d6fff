#include "relay/source.h"

#include <fmt/core.h>
#include <gst/app/gstappsink.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "relay/plugins.h"

namespace stagger::relay {
namespace {

constexpr Duration kSilenceLimit = std::chrono::seconds{10};  // then a camera counts as lost
constexpr Duration kSteady = std::chrono::seconds{10};        // after that a loss is a first one
constexpr guint kFirstRetryMs = 500;
constexpr guint kMostRetryMs = 10'000;

TimePoint ClockNow() {
  GstClock* clock = gst_system_clock_obtain();
  const auto now = static_cast<std::int64_t>(gst_clock_get_time(clock));
  gst_object_unref(clock);
  return TimePoint{Duration{now}};
}

guint RetryMs(int failures) {
  return std::min(kMostRetryMs, kFirstRetryMs << std::min(failures, 8));
}

// The most telling part of an error: elements put the cause on the last line of the debug text,
// unless that is about their own workings.
std::string Reason(GstMessage* message) {
  GError* error = nullptr;
  gchar* debug = nullptr;
  gst_message_parse_error(message, &error, &debug);
  std::string why = error != nullptr ? error->message : "it failed";
  if (debug != nullptr) {
    const std::string_view all = debug;
    const std::size_t line = all.rfind('\n');
    if (line != std::string_view::npos) {
      const std::string_view tail = all.substr(line + 1);
      if (!tail.empty() && !tail.starts_with("streaming stopped")) why = tail;
    }
  }
  g_clear_error(&error);
  g_free(debug);
  if (const std::size_t kind = why.find(" (Generic error)"); kind != std::string::npos) {
    why.resize(kind);
  }
  while (why.ends_with('.')) why.pop_back();
  if (why.starts_with("Internal data stream error")) why = "the connection failed";
  return why;
}

// A file is played at its own pace; a camera has one already. Of several videos the first is taken.
// rtspsrc waits 200 ms for reordered UDP packets and 5 s for an answer; with RTP inside the RTSP
// connection nothing is lost, and no firewall is in the way.
std::string Launch(const Origin& origin) {
  constexpr char kDecode[] = "decodebin name=decoder";
  const std::string sink =
      fmt::format(" ! appsink name=pictures caps=video/x-raw max-buffers=2 sync={}",
                  origin.live() ? "false" : "true");
  switch (origin.kind) {
    case Origin::Kind::kDevice:
      return fmt::format("v4l2src name=from ! {}", kDecode) + sink;
    case Origin::Kind::kRtsp:
      return fmt::format("rtspsrc name=from latency=200 tcp-timeout=5000000 {} ! {}",
                         origin.location.starts_with("rtspu:") ? "" : "protocols=tcp", kDecode) +
             sink;
    case Origin::Kind::kHttp:
      // decodebin would gather seconds of such a stream before it knows what it is.
      return "souphttpsrc name=from is-live=true do-timestamp=true timeout=10 retries=0 "
             "! multipartdemux single-stream=true ! jpegdec" +
             sink;
    case Origin::Kind::kFile:
      break;
  }
  return fmt::format("filesrc name=from ! {}", kDecode) + sink;
}

}  // namespace

Source::Source(Origin origin, bool loop, Callbacks callbacks)
    : origin_(std::move(origin)), loop_(loop), callbacks_(std::move(callbacks)) {}

Source::~Source() {
  if (retry_timer_ != 0) g_source_remove(retry_timer_);
  if (silence_timer_ != 0) g_source_remove(silence_timer_);
  Close();
}

void Source::Start() {
  if (origin_.live()) {
    const auto watch = [](gpointer self) -> gboolean {
      static_cast<Source*>(self)->WatchForSilence();
      return G_SOURCE_CONTINUE;
    };
    silence_timer_ = g_timeout_add_seconds(1, watch, this);
  }
  Open();
}

void Source::Open() {
  missing_.clear();
  opened_ = ClockNow();
  last_picture_ns_ = 0;
  asked_for_segments_ = false;
  latest_ = 0;
  over_ = GST_CLOCK_TIME_NONE;
  const Result<GstElement*> pipeline = ParsePipeline(Launch(origin_));
  if (!pipeline) {
    Fail(pipeline.error().message);
    return;
  }
  pipeline_ = *pipeline;
  GstElement* from = gst_bin_get_by_name(GST_BIN(pipeline_), "from");
  g_object_set(from, origin_.kind == Origin::Kind::kDevice ? "device" : "location",
               origin_.location.c_str(), nullptr);
  if (origin_.kind == Origin::Kind::kRtsp) {
    // A camera's sound would also move the pictures' times: rtspsrc aligns what it receives.
    const auto video = +[](GstElement*, guint, GstCaps* caps, gpointer) -> gboolean {
      const GstStructure* facts = gst_caps_get_structure(caps, 0);
      const gchar* media = gst_structure_get_string(facts, "media");
      return media == nullptr || g_str_equal(media, "video");
    };
    g_signal_connect(from, "select-stream", G_CALLBACK(video), nullptr);
  }
  gst_object_unref(from);
  if (GstElement* decoder = gst_bin_get_by_name(GST_BIN(pipeline_), "decoder")) {
    // Sound is not even decoded.
    const auto video = +[](GstElement*, GstPad*, GstCaps* caps, gpointer) -> gboolean {
      const gchar* kind = gst_structure_get_name(gst_caps_get_structure(caps, 0));
      return g_str_has_prefix(kind, "audio/") == FALSE;
    };
    g_signal_connect(decoder, "autoplug-continue", G_CALLBACK(video), nullptr);
    gst_object_unref(decoder);
  }
  GstClock* clock = gst_system_clock_obtain();
  gst_pipeline_use_clock(GST_PIPELINE(pipeline_), clock);
  gst_object_unref(clock);

  sink_ = gst_bin_get_by_name(GST_BIN(pipeline_), "pictures");
  GstAppSinkCallbacks callbacks{};
  callbacks.new_sample = [](GstAppSink*, gpointer self) {
    return static_cast<Source*>(self)->OnSample();
  };
  gst_app_sink_set_callbacks(GST_APP_SINK(sink_), &callbacks, this, nullptr);
  if (loop_) {
    GstPad* into = gst_element_get_static_pad(sink_, "sink");
    const auto event = [](GstPad*, GstPadProbeInfo* info, gpointer self) {
      return static_cast<Source*>(self)->OnEvent(info);
    };
    gst_pad_add_probe(into, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, event, this, nullptr);
    gst_object_unref(into);
  }

  GstBus* bus = gst_pipeline_get_bus(GST_PIPELINE(pipeline_));
  const auto hear = [](GstBus*, GstMessage* message, gpointer self) -> gboolean {
    return static_cast<Source*>(self)->OnMessage(message);
  };
  gst_bus_add_watch(bus, hear, this);
  gst_object_unref(bus);
  // Errors come as messages, also of this call.
  gst_element_set_state(pipeline_, loop_ ? GST_STATE_PAUSED : GST_STATE_PLAYING);
}

void Source::Close() {
  if (pipeline_ == nullptr) return;
  GstBus* bus = gst_pipeline_get_bus(GST_PIPELINE(pipeline_));
  gst_bus_remove_watch(bus);
  gst_object_unref(bus);
  gst_element_set_state(pipeline_, GST_STATE_NULL);  // joins its threads
  gst_object_unref(sink_);
  gst_object_unref(pipeline_);
  pipeline_ = nullptr;
  sink_ = nullptr;
}

GstFlowReturn Source::OnSample() {
  GstSample* sample = gst_app_sink_pull_sample(GST_APP_SINK(sink_));
  if (sample == nullptr) return GST_FLOW_EOS;
  const GstBuffer* buffer = gst_sample_get_buffer(sample);
  const GstSegment* segment = gst_sample_get_segment(sample);
  GstClockTime running = GST_CLOCK_TIME_NONE;
  if (GST_BUFFER_PTS_IS_VALID(buffer) && segment->format == GST_FORMAT_TIME) {
    running = gst_segment_to_running_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
  }
  const TimePoint now = ClockNow();
  const auto base = static_cast<std::int64_t>(gst_element_get_base_time(sink_));
  const TimePoint at = GST_CLOCK_TIME_IS_VALID(running)
                           ? TimePoint{Duration{base + static_cast<std::int64_t>(running)}}
                           : now;
  last_picture_ns_ = now.since_epoch.count();
  if (GST_CLOCK_TIME_IS_VALID(running)) {
    const GstClockTime since = running > latest_ ? running - latest_ : 0;
    over_ = running + (GST_BUFFER_DURATION_IS_VALID(buffer) ? GST_BUFFER_DURATION(buffer) : since);
    latest_ = running;
  }
  callbacks_.picture(sample, at);
  gst_sample_unref(sample);
  return GST_FLOW_OK;
}

// GStreamer lets a pass of the file begin when the last picture of the pass before begins, instead
// of when that picture is over.
GstPadProbeReturn Source::OnEvent(GstPadProbeInfo* info) {
  GstEvent* event = GST_PAD_PROBE_INFO_EVENT(info);
  if (GST_EVENT_TYPE(event) != GST_EVENT_SEGMENT || !GST_CLOCK_TIME_IS_VALID(over_)) {
    return GST_PAD_PROBE_OK;
  }
  GstSegment pass;
  gst_event_copy_segment(event, &pass);
  pass.base = over_;
  GstEvent* placed = gst_event_new_segment(&pass);
  gst_event_set_seqnum(placed, gst_event_get_seqnum(event));
  gst_event_unref(event);
  GST_PAD_PROBE_INFO_DATA(info) = placed;
  return GST_PAD_PROBE_OK;
}

bool Source::Rewind(bool flush) {
  const auto flags =
      static_cast<GstSeekFlags>(GST_SEEK_FLAG_SEGMENT | (flush ? GST_SEEK_FLAG_FLUSH : 0));
  return gst_element_seek(pipeline_, 1.0, GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET, 0,
                          GST_SEEK_TYPE_NONE, 0) == TRUE;
}

gboolean Source::OnMessage(GstMessage* message) {
  switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ELEMENT:
      if (missing_.empty()) missing_ = MissingPlugin(message);
      break;
    case GST_MESSAGE_WARNING: {
      GError* warning = nullptr;
      gst_message_parse_warning(message, &warning, nullptr);
      const bool no_video = g_error_matches(warning, GST_PARSE_ERROR, GST_PARSE_ERROR_DELAYED_LINK);
      g_clear_error(&warning);
      if (no_video) Fail(missing_.empty() ? "there is no video in it" : missing_);
      break;
    }
    case GST_MESSAGE_ASYNC_DONE:
      if (loop_ && !std::exchange(asked_for_segments_, true)) {
        // A file that cannot be played as segments ends, and is opened again.
        Rewind(true);
        gst_element_set_state(pipeline_, GST_STATE_PLAYING);
      }
      break;
    case GST_MESSAGE_SEGMENT_DONE:
      if (!Rewind(false)) Fail("it cannot be played again");
      break;
    case GST_MESSAGE_LATENCY:
      gst_bin_recalculate_latency(GST_BIN(pipeline_));
      break;
    case GST_MESSAGE_EOS:
      if (origin_.live()) {
        Lost("it ended");
      } else if (last_picture_ns_ == 0) {
        Fail("there is no picture in it");
      } else if (loop_) {
        Close();
        Open();
      } else {
        callbacks_.ended({});
      }
      break;
    case GST_MESSAGE_ERROR:
      if (!missing_.empty()) {
        Fail(missing_);
      } else if (origin_.live()) {
        Lost(Reason(message));
      } else {
        Fail(Reason(message));
      }
      break;
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

void Source::NoteReturn() {
  if (last_picture_ns_ == 0) return;
  const TimePoint now = ClockNow();
  if (std::exchange(lost_, false)) {
    fmt::print(stderr, "relay: {}: back after {:.1f} s\n", origin_.shown,
               ToMs(now - lost_at_) / 1000);
    ++returns_;
  }
  if (now - opened_ > kSteady) failures_ = 0;
}

void Source::WatchForSilence() {
  if (pipeline_ == nullptr) return;
  NoteReturn();
  const std::int64_t last = last_picture_ns_;
  const TimePoint since = last == 0 ? opened_ : TimePoint{Duration{last}};
  if (ClockNow() - since > kSilenceLimit) {
    Lost(fmt::format("no picture for {:.0f} s", ToMs(kSilenceLimit) / 1000));
  }
}

void Source::Lost(const std::string& why) {
  NoteReturn();  // it may have been back since the timer looked last
  Close();
  if (!std::exchange(lost_, true)) {
    lost_at_ = ClockNow();
    fmt::print(stderr, "relay: {}: {}; trying again until it is there\n", origin_.shown, why);
  }
  const auto retry = [](gpointer self) -> gboolean {
    auto* source = static_cast<Source*>(self);
    source->retry_timer_ = 0;
    source->Open();
    return G_SOURCE_REMOVE;
  };
  retry_timer_ = g_timeout_add(RetryMs(failures_++), retry, this);
}

void Source::Fail(std::string why) {
  Close();
  callbacks_.ended(Error{fmt::format("{}: {}", origin_.shown, why)});
}

}  // namespace stagger::relay
