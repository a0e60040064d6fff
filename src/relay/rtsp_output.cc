// Serves frames as H.264 over RTSP. All clients share one encoder, which exists while there are
// any. RTP travels inside the RTSP connection: no second port, no lost packets, and the server
// leaves packets out for a client that does not read.
#include <fmt/core.h>
#include <gst/app/gstappsrc.h>
#include <gst/rtsp-server/rtsp-server.h>
#include <gst/video/video.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/try.h"
#include "relay/output.h"
#include "relay/plugins.h"

namespace stagger::relay {
namespace {

constexpr int kQueuedFrames = 4;       // before the encoder; beyond these the oldest go
constexpr double kKeyFrameEveryS = 2;  // besides one for each client that comes
constexpr int kQuantizer = 20;
constexpr int kThreads = 8;  // clients that ask at the same time; those that watch need none
constexpr guint kSweepS = 5;

// One encoder and its clients. The server makes it when the first client comes.
struct Media {
  GstRTSPMedia* media;
  GstElement* source;  // the appsrc
  GstElement* payloader;
};

class RtspOutput : public Output {
 public:
  explicit RtspOutput(const Destination& to) : to_(to) {}
  ~RtspOutput() override;

  Result<void> Listen(const std::string& launch);
  void Push(GstSample* sample, TimePoint at) override;
  void Finish() override;
  bool finished() override;
  std::string url() const override { return url_; }
  int clients() const override { return clients_; }

 private:
  static void OnMedia(GstRTSPMediaFactory* factory, GstRTSPMedia* media, RtspOutput* self);
  static void OnMediaGone(GstRTSPMedia* media, RtspOutput* self);
  static void OnClient(GstRTSPServer* server, GstRTSPClient* client, RtspOutput* self);
  static void OnPlay(GstRTSPClient* client, GstRTSPContext* context, RtspOutput* self);

  const Destination to_;
  std::string url_;
  GstRTSPServer* server_ = nullptr;
  guint attached_ = 0;
  guint sweep_ = 0;
  std::atomic<int> clients_{0};

  std::mutex mutex_;
  std::vector<Media> media_;
};

std::string Launch(const Options& options) {
  const std::string rate =
      options.bitrate_kbit > 0
          ? fmt::format("bitrate={} vbv-buf-capacity=1000", options.bitrate_kbit)
          : fmt::format("pass=qual quantizer={} bitrate=200000", kQuantizer);
  const int key_every = std::max(1, static_cast<int>(std::lround(options.fps * kKeyFrameEveryS)));
  gint fps_n = 0;
  gint fps_d = 1;
  gst_util_double_to_fraction(options.fps, &fps_n, &fps_d);
  return fmt::format(
      "( appsrc name=frames format=time is-live=true max-buffers={} leaky-type=downstream "
      "! capssetter caps=video/x-raw,framerate={}/{} ! videoconvert ! video/x-raw,format=I420 "
      // One thread, one slice: FFmpeg's clients lose all slices of a picture but the first.
      "! x264enc tune=zerolatency threads=1 speed-preset=veryfast key-int-max={} {} "
      "! video/x-h264,profile=main ! h264parse ! video/x-h264,alignment=au "
      "! rtph264pay name=pay0 pt=96 config-interval=-1 )",
      kQueuedFrames, fps_n, fps_d, key_every, rate);
}

Result<void> RtspOutput::Listen(const std::string& launch) {
  server_ = gst_rtsp_server_new();
  gst_rtsp_server_set_address(server_, to_.host.c_str());
  gst_rtsp_server_set_service(server_, std::to_string(to_.port).c_str());
  GstRTSPThreadPool* threads = gst_rtsp_server_get_thread_pool(server_);
  gst_rtsp_thread_pool_set_max_threads(threads, kThreads);
  g_object_unref(threads);

  GstRTSPMediaFactory* factory = gst_rtsp_media_factory_new();
  gst_rtsp_media_factory_set_launch(factory, launch.c_str());
  gst_rtsp_media_factory_set_shared(factory, TRUE);
  gst_rtsp_media_factory_set_protocols(factory, GST_RTSP_LOWER_TRANS_TCP);
  // One clock for source and encoder, so that frames keep their times.
  GstClock* clock = gst_system_clock_obtain();
  gst_rtsp_media_factory_set_clock(factory, clock);
  gst_object_unref(clock);
  g_signal_connect(factory, "media-configure", G_CALLBACK(OnMedia), this);
  GstRTSPMountPoints* mounts = gst_rtsp_server_get_mount_points(server_);
  gst_rtsp_mount_points_add_factory(mounts, to_.path.c_str(), factory);
  g_object_unref(mounts);
  g_signal_connect(server_, "client-connected", G_CALLBACK(OnClient), this);

  GError* error = nullptr;
  GSource* listener = gst_rtsp_server_create_source(server_, nullptr, &error);
  if (listener == nullptr) {
    const std::string why = error != nullptr ? error->message : "no reason given";
    g_clear_error(&error);
    return Error{fmt::format("cannot listen on {}:{}: {}", to_.host, to_.port, why)};
  }
  attached_ = g_source_attach(listener, nullptr);
  g_source_unref(listener);
  url_ = to_.Url(gst_rtsp_server_get_bound_port(server_));
  // Clients that vanish without a word are let go of.
  const auto sweep = [](gpointer server) -> gboolean {
    GstRTSPSessionPool* sessions = gst_rtsp_server_get_session_pool(GST_RTSP_SERVER(server));
    gst_rtsp_session_pool_cleanup(sessions);
    g_object_unref(sessions);
    return G_SOURCE_CONTINUE;
  };
  sweep_ = g_timeout_add_seconds(kSweepS, sweep, server_);
  return {};
}

RtspOutput::~RtspOutput() {
  if (sweep_ != 0) g_source_remove(sweep_);
  if (attached_ != 0) g_source_remove(attached_);
  if (server_ != nullptr) {
    g_signal_handlers_disconnect_by_data(server_, this);
    const auto remove = [](GstRTSPServer*, GstRTSPClient*, gpointer) {
      return GST_RTSP_FILTER_REMOVE;
    };
    gst_rtsp_server_client_filter(server_, remove, nullptr);
    g_object_unref(server_);
  }
  const std::lock_guard lock(mutex_);
  for (const Media& media : media_) {
    g_signal_handlers_disconnect_by_data(media.media, this);
    gst_object_unref(media.source);
    gst_object_unref(media.payloader);
  }
}

void RtspOutput::OnMedia(GstRTSPMediaFactory*, GstRTSPMedia* media, RtspOutput* self) {
  GstElement* bin = gst_rtsp_media_get_element(media);
  const Media known{media, gst_bin_get_by_name(GST_BIN(bin), "frames"),
                    gst_bin_get_by_name(GST_BIN(bin), "pay0")};
  gst_object_unref(bin);
  g_signal_connect(media, "unprepared", G_CALLBACK(OnMediaGone), self);
  const std::lock_guard lock(self->mutex_);
  self->media_.push_back(known);
}

void RtspOutput::OnMediaGone(GstRTSPMedia* media, RtspOutput* self) {
  const std::lock_guard lock(self->mutex_);
  const auto found = std::ranges::find(self->media_, media, &Media::media);
  if (found == self->media_.end()) return;
  gst_object_unref(found->source);
  gst_object_unref(found->payloader);
  self->media_.erase(found);
}

void RtspOutput::OnClient(GstRTSPServer*, GstRTSPClient* client, RtspOutput* self) {
  g_signal_connect(client, "play-request", G_CALLBACK(OnPlay), self);
}

// A client that joins others would wait for the next key frame.
void RtspOutput::OnPlay(GstRTSPClient*, GstRTSPContext*, RtspOutput* self) {
  ++self->clients_;
  const std::lock_guard lock(self->mutex_);
  for (const Media& media : self->media_) {
    gst_element_send_event(
        media.payloader, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0));
  }
}

void RtspOutput::Push(GstSample* sample, TimePoint at) {
  const std::lock_guard lock(mutex_);
  for (const Media& media : media_) {
    const auto base = static_cast<std::int64_t>(gst_element_get_base_time(media.source));
    // It has none until its pipeline runs.
    if (base == 0 || at.since_epoch.count() < base) continue;
    GstBuffer* buffer = gst_buffer_copy(gst_sample_get_buffer(sample));  // shares the pixels
    GST_BUFFER_PTS(buffer) = static_cast<GstClockTime>(at.since_epoch.count() - base);
    GST_BUFFER_DTS(buffer) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_DURATION(buffer) = GST_CLOCK_TIME_NONE;
    GstSample* frame = gst_sample_new(buffer, gst_sample_get_caps(sample), nullptr, nullptr);
    gst_app_src_push_sample(GST_APP_SRC(media.source), frame);
    gst_sample_unref(frame);
    gst_buffer_unref(buffer);
  }
}

void RtspOutput::Finish() {
  const std::lock_guard lock(mutex_);
  for (const Media& media : media_) gst_app_src_end_of_stream(GST_APP_SRC(media.source));
}

bool RtspOutput::finished() {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(media_, [](const Media& media) {
    GstPad* pad = gst_element_get_static_pad(media.payloader, "src");
    GstEvent* end = gst_pad_get_sticky_event(pad, GST_EVENT_EOS, 0);
    gst_object_unref(pad);
    if (end == nullptr) return false;
    gst_event_unref(end);
    return true;
  });
}

}  // namespace

Result<std::unique_ptr<Output>> OpenRtspOutput(const Options& options) {
  const std::string launch = Launch(options);
  // The server makes its pipelines when clients come: what they lack is to be known now.
  GstElement* const tried = STAGGER_TRY(ParsePipeline(launch));
  gst_object_unref(tried);
  auto output = std::make_unique<RtspOutput>(options.to);
  if (const Result<void> listening = output->Listen(launch); !listening) {
    return listening.error();
  }
  return std::unique_ptr<Output>(std::move(output));
}

}  // namespace stagger::relay
