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
constexpr guint kLatencyMs = 200;             // of UDP's reordering
constexpr guint64 kTcpTimeoutUs = 5'000'000;  // for an answer to a request
constexpr guint kHttpTimeoutS = 10;
constexpr int kRtspOverTcp = 1 << 2;  // GST_RTSP_LOWER_TRANS_TCP
constexpr char kNoVideo[] = "no-video";

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
  opened_ = ClockNow();
  last_picture_ns_ = 0;
  asked_for_segments_ = false;
  pipeline_ = gst_pipeline_new("source");
  GstClock* clock = gst_system_clock_obtain();
  gst_pipeline_use_clock(GST_PIPELINE(pipeline_), clock);
  gst_object_unref(clock);

  sink_ = gst_element_factory_make("appsink", nullptr);
  // A file is played at its own pace; a camera has one already.
  GstCaps* raw = gst_caps_new_empty_simple("video/x-raw");
  g_object_set(sink_, "caps", raw, "sync", origin_.live() ? FALSE : TRUE, "max-buffers", 2,
               nullptr);
  gst_caps_unref(raw);
  GstAppSinkCallbacks callbacks{};
  callbacks.new_sample = [](GstAppSink*, gpointer self) {
    return static_cast<Source*>(self)->OnSample();
  };
  gst_app_sink_set_callbacks(GST_APP_SINK(sink_), &callbacks, this, nullptr);
  gst_bin_add(GST_BIN(pipeline_), sink_);
  if (loop_) {
    GstPad* into = gst_element_get_static_pad(sink_, "sink");
    joiner_.Attach(into);
    gst_object_unref(into);
  }
  AddDecoder();

  GstBus* bus = gst_pipeline_get_bus(GST_PIPELINE(pipeline_));
  const auto hear = [](GstBus*, GstMessage* message, gpointer self) -> gboolean {
    return static_cast<Source*>(self)->OnMessage(message);
  };
  gst_bus_add_watch(bus, hear, this);
  gst_object_unref(bus);
  // Errors come as messages, also of this call.
  gst_element_set_state(pipeline_, loop_ ? GST_STATE_PAUSED : GST_STATE_PLAYING);
}

void Source::AddDecoder() {
  if (origin_.uri.starts_with("http")) {
    AddMjpegDecoder();
    return;
  }
  GstElement* decoder = gst_element_factory_make("uridecodebin", nullptr);
  g_object_set(decoder, "uri", origin_.uri.c_str(), nullptr);
  g_signal_connect(decoder, "autoplug-continue", G_CALLBACK(OnContinue), nullptr);
  g_signal_connect(decoder, "pad-added", G_CALLBACK(OnPadAdded), sink_);
  g_signal_connect(decoder, "no-more-pads", G_CALLBACK(OnNoMorePads), sink_);
  g_signal_connect(decoder, "source-setup", G_CALLBACK(OnSourceSetup), this);
  gst_bin_add(GST_BIN(pipeline_), decoder);
}

// uridecodebin would gather seconds of such a stream before it knows what it is.
void Source::AddMjpegDecoder() {
  GstElement* client = gst_element_factory_make("souphttpsrc", nullptr);
  g_object_set(client, "location", origin_.uri.c_str(), "is-live", TRUE, "do-timestamp", TRUE,
               "timeout", kHttpTimeoutS, "retries", 0, nullptr);
  GstElement* parts = gst_element_factory_make("multipartdemux", nullptr);
  g_object_set(parts, "single-stream", TRUE, nullptr);
  GstElement* decoder = gst_element_factory_make("jpegdec", nullptr);
  gst_bin_add_many(GST_BIN(pipeline_), client, parts, decoder, nullptr);
  gst_element_link(client, parts);
  gst_element_link(decoder, sink_);
  g_signal_connect(parts, "pad-added", G_CALLBACK(OnPadAdded), decoder);
}

void Source::Close() {
  if (pipeline_ == nullptr) return;
  GstBus* bus = gst_pipeline_get_bus(GST_PIPELINE(pipeline_));
  gst_bus_remove_watch(bus);
  gst_object_unref(bus);
  gst_element_set_state(pipeline_, GST_STATE_NULL);  // joins its threads
  gst_object_unref(pipeline_);
  pipeline_ = nullptr;
  sink_ = nullptr;
}

void Source::OnSourceSetup(GstElement*, GstElement* element, gpointer self) {
  const auto* source = static_cast<Source*>(self);
  const GstElementFactory* factory = gst_element_get_factory(element);
  const std::string_view name =
      factory != nullptr ? gst_plugin_feature_get_name(GST_PLUGIN_FEATURE(factory)) : "";
  if (name == "rtspsrc") {
    // Inside the RTSP connection nothing is lost, and no firewall is in the way.
    if (!source->origin_.uri.starts_with("rtspu:")) {
      g_object_set(element, "protocols", kRtspOverTcp, nullptr);
    }
    g_object_set(element, "latency", kLatencyMs, "tcp-timeout", kTcpTimeoutUs, nullptr);
    g_signal_connect(element, "select-stream", G_CALLBACK(OnSelectStream), self);
  }
}

gboolean Source::OnSelectStream(GstElement*, guint, GstCaps* caps, gpointer) {
  const GstStructure* facts = gst_caps_get_structure(caps, 0);
  const gchar* media = gst_structure_get_string(facts, "media");
  return media == nullptr || std::string_view(media) == "video";
}

// Sound is not even decoded.
gboolean Source::OnContinue(GstElement*, GstPad*, GstCaps* caps, gpointer) {
  const GstStructure* facts = gst_caps_get_structure(caps, 0);
  return facts == nullptr || !std::string_view(gst_structure_get_name(facts)).starts_with("audio/");
}

void Source::OnPadAdded(GstElement*, GstPad* pad, gpointer next) {
  GstPad* into = gst_element_get_static_pad(static_cast<GstElement*>(next), "sink");
  // Sound does not fit; of several videos in one file the first is taken.
  if (!gst_pad_is_linked(into)) gst_pad_link(pad, into);
  gst_object_unref(into);
}

void Source::OnNoMorePads(GstElement*, gpointer next) {
  auto* sink = static_cast<GstElement*>(next);
  GstPad* into = gst_element_get_static_pad(sink, "sink");
  const bool linked = gst_pad_is_linked(into);
  gst_object_unref(into);
  if (linked) return;
  // To the main thread: this one belongs to what must be closed.
  GstStructure* what = gst_structure_new_empty(kNoVideo);
  gst_element_post_message(sink, gst_message_new_application(GST_OBJECT(sink), what));
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
  callbacks_.picture(sample, at);
  gst_sample_unref(sample);
  return GST_FLOW_OK;
}

bool Source::Rewind(bool flush) {
  const auto flags =
      static_cast<GstSeekFlags>(GST_SEEK_FLAG_SEGMENT | (flush ? GST_SEEK_FLAG_FLUSH : 0));
  return gst_element_seek(pipeline_, 1.0, GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET, 0,
                          GST_SEEK_TYPE_NONE, 0) == TRUE;
}

void Source::Play() {
  // A file that cannot be played as segments ends, and is opened again.
  Rewind(true);
  gst_element_set_state(pipeline_, GST_STATE_PLAYING);
}

gboolean Source::OnMessage(GstMessage* message) {
  switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ELEMENT:
      if (missing_.empty()) missing_ = MissingPlugin(message);
      break;
    case GST_MESSAGE_APPLICATION:
      if (gst_message_has_name(message, kNoVideo)) {
        Fail(missing_.empty() ? "there is no video in it" : missing_);
      }
      break;
    case GST_MESSAGE_ASYNC_DONE:
      if (loop_ && !std::exchange(asked_for_segments_, true)) Play();
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
