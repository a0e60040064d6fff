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

#include "relay/output.h"
#include "relay/plugins.h"

namespace stagger::relay {
namespace {

constexpr int kQueuedFrames = 4;       // before the encoder; beyond these the oldest go
constexpr double kKeyFrameEveryS = 2;  // besides one for each client that comes
constexpr int kQuantizer = 20;
constexpr int kThreads = 8;  // clients that ask at the same time; those that watch need none
constexpr guint kSweepS = 5;
constexpr guint kLastWordsMs = 200;  // what is encoded still has to leave
constexpr guint kLastWordsLimitMs = 1000;

class RtspOutput : public Output {
 public:
  explicit RtspOutput(const Options& options) : to_(options.to) {
    gst_util_double_to_fraction(options.fps, &fps_n_, &fps_d_);
    launch_ = Launch(options);
  }
  ~RtspOutput() override;

  Result<void> Listen();
  void Push(GstSample* sample, TimePoint at) override;
  void Finish(void (*done)(void*), void* data) override;
  std::string url() const override { return url_; }
  int clients() const override { return clients_; }

 private:
  // One encoder and its clients. The server makes it when the first comes.
  struct Media {
    GstRTSPMedia* media;
    GstElement* source;  // the appsrc
    GstElement* payloader;
  };

  static std::string Launch(const Options& options);
  static void OnMedia(GstRTSPMediaFactory* factory, GstRTSPMedia* media, gpointer self);
  static void OnMediaGone(GstRTSPMedia* media, gpointer self);
  static void OnClient(GstRTSPServer* server, GstRTSPClient* client, gpointer self);
  static void OnPlay(GstRTSPClient* client, GstRTSPContext* context, gpointer self);

  void Forget(GstRTSPMedia* media);

  const Destination to_;
  std::string launch_;
  std::string url_;
  int fps_n_ = 0;
  int fps_d_ = 1;
  GstRTSPServer* server_ = nullptr;
  guint attached_ = 0;
  guint sweep_ = 0;
  std::atomic<int> clients_{0};

  std::mutex mutex_;
  std::vector<Media> media_;
  GstCaps* from_ = nullptr;  // the caps of the latest picture, and as the encoder gets them
  GstCaps* caps_ = nullptr;
};

std::string RtspOutput::Launch(const Options& options) {
  const std::string rate =
      options.bitrate_kbit > 0
          ? fmt::format("bitrate={} vbv-buf-capacity=1000", options.bitrate_kbit)
          : fmt::format("pass=qual quantizer={} bitrate=200000", kQuantizer);
  const int key_every = std::max(1, static_cast<int>(std::lround(options.fps * kKeyFrameEveryS)));
  return fmt::format(
      "( appsrc name=frames format=time is-live=true max-buffers={} leaky-type=downstream "
      "! videoconvert ! video/x-raw,format=I420 "
      // One thread, one slice: FFmpeg's clients lose all slices of a picture but the first.
      "! x264enc tune=zerolatency threads=1 speed-preset=veryfast key-int-max={} {} "
      "! video/x-h264,profile=main ! h264parse ! video/x-h264,alignment=au "
      "! rtph264pay name=pay0 pt=96 config-interval=-1 )",
      kQueuedFrames, key_every, rate);
}

Result<void> RtspOutput::Listen() {
  server_ = gst_rtsp_server_new();
  gst_rtsp_server_set_address(server_, to_.host.c_str());
  gst_rtsp_server_set_service(server_, std::to_string(to_.port).c_str());
  GstRTSPThreadPool* threads = gst_rtsp_server_get_thread_pool(server_);
  gst_rtsp_thread_pool_set_max_threads(threads, kThreads);
  g_object_unref(threads);

  GstRTSPMediaFactory* factory = gst_rtsp_media_factory_new();
  gst_rtsp_media_factory_set_launch(factory, launch_.c_str());
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
  media_.clear();
  gst_clear_caps(&from_);
  gst_clear_caps(&caps_);
}

void RtspOutput::OnMedia(GstRTSPMediaFactory*, GstRTSPMedia* media, gpointer self) {
  auto* output = static_cast<RtspOutput*>(self);
  GstElement* bin = gst_rtsp_media_get_element(media);
  const Media known{media, gst_bin_get_by_name(GST_BIN(bin), "frames"),
                    gst_bin_get_by_name(GST_BIN(bin), "pay0")};
  gst_object_unref(bin);
  g_signal_connect(media, "unprepared", G_CALLBACK(OnMediaGone), self);
  const std::lock_guard lock(output->mutex_);
  output->media_.push_back(known);
}

void RtspOutput::OnMediaGone(GstRTSPMedia* media, gpointer self) {
  static_cast<RtspOutput*>(self)->Forget(media);
}

void RtspOutput::Forget(GstRTSPMedia* media) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(media_, media, &Media::media);
  if (found == media_.end()) return;
  gst_object_unref(found->source);
  gst_object_unref(found->payloader);
  media_.erase(found);
}

void RtspOutput::OnClient(GstRTSPServer*, GstRTSPClient* client, gpointer self) {
  g_signal_connect(client, "play-request", G_CALLBACK(OnPlay), self);
}

// Who joins others would wait for the next key frame.
void RtspOutput::OnPlay(GstRTSPClient*, GstRTSPContext*, gpointer self) {
  auto* output = static_cast<RtspOutput*>(self);
  ++output->clients_;
  const std::lock_guard lock(output->mutex_);
  for (const Media& media : output->media_) {
    GstPad* pad = gst_element_get_static_pad(media.payloader, "sink");
    gst_pad_push_event(pad,
                       gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0));
    gst_object_unref(pad);
  }
}

void RtspOutput::Push(GstSample* sample, TimePoint at) {
  const std::lock_guard lock(mutex_);
  if (media_.empty()) return;
  GstCaps* from = gst_sample_get_caps(sample);
  if (from_ == nullptr || !gst_caps_is_equal(from, from_)) {
    gst_caps_replace(&from_, from);
    gst_clear_caps(&caps_);
    caps_ = gst_caps_copy(from);
    gst_caps_set_simple(caps_, "framerate", GST_TYPE_FRACTION, fps_n_, fps_d_, nullptr);
  }
  for (const Media& media : media_) {
    const auto base = static_cast<std::int64_t>(gst_element_get_base_time(media.source));
    // It has none until its pipeline runs.
    if (base == 0 || at.since_epoch.count() < base) continue;
    GstBuffer* buffer = gst_buffer_copy(gst_sample_get_buffer(sample));  // shares the pixels
    GST_BUFFER_PTS(buffer) = static_cast<GstClockTime>(at.since_epoch.count() - base);
    GST_BUFFER_DTS(buffer) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_DURATION(buffer) = GST_CLOCK_TIME_NONE;
    GstSample* frame = gst_sample_new(buffer, caps_, nullptr, nullptr);
    gst_app_src_push_sample(GST_APP_SRC(media.source), frame);
    gst_sample_unref(frame);
    gst_buffer_unref(buffer);
  }
}

void RtspOutput::Finish(void (*done)(void*), void* data) {
  struct Ending {
    std::atomic<int> open{0};
    void (*done)(void*);
    void* data;
    int waited_ms = 0;
    bool drained = false;
  };
  auto* ending = new Ending{.done = done, .data = data};
  {
    const std::lock_guard lock(mutex_);
    ending->open = static_cast<int>(media_.size());
    for (const Media& media : media_) {
      GstPad* pad = gst_element_get_static_pad(media.payloader, "src");
      const auto see = [](GstPad*, GstPadProbeInfo* info, gpointer seen) {
        if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) != GST_EVENT_EOS) {
          return GST_PAD_PROBE_OK;
        }
        --*static_cast<std::atomic<int>*>(seen);
        return GST_PAD_PROBE_REMOVE;
      };
      gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, see, &ending->open, nullptr);
      gst_object_unref(pad);
      gst_app_src_end_of_stream(GST_APP_SRC(media.source));
    }
  }
  // Lives as long as the process: a probe may still come after the limit.
  const auto poll = [](gpointer given) -> gboolean {
    auto* end = static_cast<Ending*>(given);
    end->waited_ms += static_cast<int>(kLastWordsMs);
    const bool drained = end->drained;
    end->drained = end->open <= 0;
    if (!drained && end->waited_ms < static_cast<int>(kLastWordsLimitMs)) return G_SOURCE_CONTINUE;
    end->done(end->data);
    return G_SOURCE_REMOVE;
  };
  g_timeout_add(kLastWordsMs, poll, ending);
}

}  // namespace

Result<std::unique_ptr<Output>> OpenRtspOutput(const Options& options) {
  if (const Result<void> there =
          CheckElements({"appsrc", "videoconvert", "x264enc", "h264parse", "rtph264pay"});
      !there) {
    return there.error();
  }
  auto output = std::make_unique<RtspOutput>(options);
  if (const Result<void> listening = output->Listen(); !listening) return listening.error();
  return std::unique_ptr<Output>(std::move(output));
}

}  // namespace stagger::relay
