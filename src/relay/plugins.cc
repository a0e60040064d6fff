#include "relay/plugins.h"

#include <fmt/core.h>
#include <gst/pbutils/pbutils.h>

#include <array>
#include <string_view>

namespace stagger::relay {
namespace {

struct Home {
  std::string_view element;
  const char* package;
};

constexpr std::array kHomes{Home{"x264enc", "gstreamer1.0-plugins-ugly"},
                            Home{"h264parse", "gstreamer1.0-plugins-bad"},
                            Home{"jpegenc", "gstreamer1.0-plugins-good"},
                            Home{"rtph264pay", "gstreamer1.0-plugins-good"},
                            Home{"rtspsrc", "gstreamer1.0-plugins-good"},
                            Home{"v4l2src", "gstreamer1.0-plugins-good"},
                            Home{"souphttpsrc", "gstreamer1.0-plugins-good"}};

const char* PackageOf(std::string_view element) {
  for (const Home& home : kHomes) {
    if (home.element == element) return home.package;
  }
  return "gstreamer1.0-plugins-base";
}

}  // namespace

Result<void> CheckElements(std::initializer_list<const char*> elements) {
  for (const char* element : elements) {
    GstElementFactory* factory = gst_element_factory_find(element);
    if (factory == nullptr) {
      return Error{fmt::format("GStreamer has no '{}' here: apt-get install {}", element,
                               PackageOf(element))};
    }
    gst_object_unref(factory);
  }
  return {};
}

std::string MissingPlugin(GstMessage* message) {
  if (!gst_is_missing_plugin_message(message)) return "";
  gchar* what = gst_missing_plugin_message_get_description(message);
  const gchar* type = gst_structure_get_string(gst_message_get_structure(message), "type");
  const std::string_view kind = type != nullptr ? type : "";
  // Containers beyond the common ones are in plugins-bad; nearly every codec is in libav.
  const bool container = std::string_view(what).find("demuxer") != std::string_view::npos;
  const char* packages = kind == "decoder" && !container
                             ? "gstreamer1.0-libav"
                             : "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad";
  std::string line = fmt::format("GStreamer has no {} here: apt-get install {}", what, packages);
  g_free(what);
  return line;
}

}  // namespace stagger::relay
