// Videos whose frames say their number, for tests:
//   numbered_video write FILE FRAMES FPS     that many frames of H.264, and a sound track
//   numbered_video read URL FRAMES           "NUMBER MS" per frame that comes, MS since the first
//   by
//                                            the stream's own times; ends after FRAMES, or with the
//                                            stream. rtsp:// and http:// (MJPEG)
// A number is 16 black or white columns, above noise that costs an encoder something.
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>

namespace {

constexpr int kBits = 16;
constexpr int kColumn = 16;
constexpr int kWidth = kBits * kColumn;
constexpr int kNumberHeight = 32;
constexpr int kHeight = 96;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "numbered_video: %s\n", what.c_str());
  std::exit(1);
}

GstElement* Parse(const std::string& launch) {
  GError* error = nullptr;
  GstElement* pipeline = gst_parse_launch(launch.c_str(), &error);
  if (error != nullptr) Die(error->message);
  return pipeline;
}

GstBuffer* Draw(unsigned number) {
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, kWidth * kHeight, nullptr);
  GstMapInfo map;
  gst_buffer_map(buffer, &map, GST_MAP_WRITE);
  std::mt19937 noise(number);
  for (int i = 0; i < kWidth * kHeight; ++i) {
    const bool set = (number >> (i % kWidth / kColumn) & 1) != 0;
    const bool above = i < kWidth * kNumberHeight;
    map.data[i] = static_cast<std::uint8_t>(above ? (set ? 220 : 30) : noise() % 256);
  }
  gst_buffer_unmap(buffer, &map);
  return buffer;
}

unsigned NumberOf(GstSample* sample) {
  GstVideoInfo info;
  GstVideoFrame frame;
  if (!gst_video_info_from_caps(&info, gst_sample_get_caps(sample)) || info.width != kWidth ||
      !gst_video_frame_map(&frame, &info, gst_sample_get_buffer(sample), GST_MAP_READ)) {
    Die("not one of our pictures");
  }
  const auto* row = static_cast<const std::uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0)) +
                    GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0) * (kNumberHeight / 2);
  unsigned number = 0;
  for (int bit = 0; bit < kBits; ++bit) {
    if (row[bit * kColumn + kColumn / 2] > 125) number |= 1u << bit;
  }
  gst_video_frame_unmap(&frame);
  return number;
}

void Write(const char* path, int frames, int fps) {
  const std::string rate = std::to_string(fps) + "/1";
  GstElement* pipeline =
      Parse("appsrc name=frames format=time caps=video/x-raw,format=GRAY8,width=" +
            std::to_string(kWidth) + ",height=" + std::to_string(kHeight) + ",framerate=" + rate +
            " ! videoconvert ! video/x-raw,format=I420 ! x264enc tune=zerolatency "
            "speed-preset=ultrafast key-int-max=15 "
            "! qtmux name=mux ! filesink name=file "
            // Exactly as long as the pictures.
            "audiotestsrc samplesperbuffer=" +
            std::to_string(48000 / fps) + " num-buffers=" + std::to_string(frames) +
            " ! audio/x-raw,format=S16LE,channels=1,rate=48000 ! mux.");
  GstElement* file = gst_bin_get_by_name(GST_BIN(pipeline), "file");
  g_object_set(file, "location", path, nullptr);
  GstElement* source = gst_bin_get_by_name(GST_BIN(pipeline), "frames");
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  for (int n = 0; n < frames; ++n) {
    GstBuffer* buffer = Draw(static_cast<unsigned>(n));
    GST_BUFFER_PTS(buffer) = gst_util_uint64_scale(static_cast<guint64>(n), GST_SECOND, fps);
    GST_BUFFER_DURATION(buffer) = GST_SECOND / static_cast<guint64>(fps);
    gst_app_src_push_buffer(GST_APP_SRC(source), buffer);
  }
  gst_app_src_end_of_stream(GST_APP_SRC(source));
  GstBus* bus = gst_pipeline_get_bus(GST_PIPELINE(pipeline));
  GstMessage* end = gst_bus_timed_pop_filtered(
      bus, 60 * GST_SECOND, static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  if (end == nullptr || GST_MESSAGE_TYPE(end) != GST_MESSAGE_EOS) Die("cannot write the video");
  gst_element_set_state(pipeline, GST_STATE_NULL);
}

void Read(const std::string& url, int frames) {
  // Without the client's smoothing: what the RTP packets say.
  const std::string decoder =
      url.starts_with("rtsp") ? "rtspsrc protocols=tcp buffer-mode=none latency=0 location=" + url +
                                    " ! rtph264depay ! h264parse ! avdec_h264"
                              : "souphttpsrc is-live=true do-timestamp=true location=" + url +
                                    " ! multipartdemux single-stream=true ! jpegdec";
  GstElement* pipeline = Parse(decoder + " ! appsink name=pictures sync=false");
  GstElement* sink = gst_bin_get_by_name(GST_BIN(pipeline), "pictures");
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstClockTime first = GST_CLOCK_TIME_NONE;
  for (int n = 0; n < frames; ++n) {
    GstSample* sample = gst_app_sink_pull_sample(GST_APP_SINK(sink));
    if (sample == nullptr) break;  // it ended, or the server has gone
    const GstClockTime at = GST_BUFFER_PTS(gst_sample_get_buffer(sample));
    if (!GST_CLOCK_TIME_IS_VALID(first)) first = at;
    std::printf("%u %.3f\n", NumberOf(sample),
                static_cast<double>(static_cast<gint64>(at - first)) / 1e6);
    std::fflush(stdout);
    gst_sample_unref(sample);
  }
  gst_element_set_state(pipeline, GST_STATE_NULL);
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(nullptr, nullptr);
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "write" && argc == 5) {
    Write(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
  } else if (verb == "read" && argc == 4) {
    Read(argv[2], std::atoi(argv[3]));
  } else {
    Die("usage: numbered_video write FILE FRAMES FPS | read URL FRAMES");
  }
  return 0;
}
