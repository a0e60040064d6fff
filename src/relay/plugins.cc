#include "relay/plugins.h"

#include <fmt/core.h>
#include <gst/pbutils/pbutils.h>

#include <string_view>

namespace stagger::relay {
namespace {

const char* PackageOf(std::string_view element) {
  if (element == "x264enc") return "gstreamer1.0-plugins-ugly";
  if (element == "h264parse") return "gstreamer1.0-plugins-bad";
  for (const std::string_view good : {"jpegenc", "jpegdec", "rtph264pay", "capssetter", "rtspsrc",
                                      "v4l2src", "souphttpsrc", "multipartdemux"}) {
    if (element == good) return "gstreamer1.0-plugins-good";
  }
  return "gstreamer1.0-plugins-base";
}

}  // namespace

Result<GstElement*> ParsePipeline(const std::string& launch) {
  GError* error = nullptr;
  GstParseContext* context = gst_parse_context_new();
  GstElement* pipeline =
      gst_parse_launch_full(launch.c_str(), context, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  std::string lacks;
  gchar** elements = gst_parse_context_get_missing_elements(context);
  for (gchar** element = elements; element != nullptr && *element != nullptr; ++element) {
    lacks += fmt::format("{}no '{}' here: apt-get install {}", lacks.empty() ? "" : "; ", *element,
                         PackageOf(*element));
  }
  g_strfreev(elements);
  gst_parse_context_free(context);
  if (pipeline != nullptr) return pipeline;
  Error failed{lacks.empty() ? std::string(error->message) : "GStreamer has " + lacks};
  g_clear_error(&error);
  return failed;
}

std::string MissingPlugin(GstMessage* message) {
  if (!gst_is_missing_plugin_message(message)) return "";
  gchar* what = gst_missing_plugin_message_get_description(message);
  const gchar* type = gst_structure_get_string(gst_message_get_structure(message), "type");
  // Containers beyond the common ones are in plugins-bad; nearly every codec is in libav.
  const bool codec = g_strcmp0(type, "decoder") == 0 &&
                     std::string_view(what).find("demuxer") == std::string_view::npos;
  std::string line = fmt::format(
      "GStreamer has no {} here: apt-get install {}", what,
      codec ? "gstreamer1.0-libav" : "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad");
  g_free(what);
  return line;
}

}  // namespace stagger::relay
