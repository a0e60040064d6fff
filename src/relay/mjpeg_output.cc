// Serves frames as MJPEG over HTTP (multipart/x-mixed-replace). Pictures are encoded once for all
// viewers, and only while there are any. The latest pictures are kept for all; a viewer that falls
// behind goes on with the oldest of them.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <httplib.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "base/try.h"
#include "relay/output.h"
#include "relay/plugins.h"

namespace stagger::relay {
namespace {

constexpr int kConnections = 20;
constexpr int kViewers = 16;  // leaves connections for those to be told that there are too many
constexpr std::size_t kKeptFrames = 4;
constexpr int kSendBuffer = 256 * 1024;  // in the kernel: bounds how old a slow viewer's frames get
constexpr auto kIdlePoll = std::chrono::milliseconds(200);
constexpr int kWriteTimeoutS = 5;
constexpr std::string_view kBoundary = "--frame\r\n";

using Jpeg = std::shared_ptr<const std::string>;

class MjpegOutput : public Output {
 public:
  explicit MjpegOutput(const Options& options) : to_(options.to), quality_(options.quality) {}
  ~MjpegOutput() override;

  Result<void> Listen();
  Result<void> StartEncoder();
  void Push(GstSample* sample, TimePoint at) override;
  void Finish() override { gst_app_src_end_of_stream(GST_APP_SRC(source_)); }
  bool finished() override {
    const std::lock_guard lock(mutex_);
    return ending_ && viewers_ == 0;
  }
  std::string url() const override { return url_; }
  int clients() const override {
    const std::lock_guard lock(mutex_);
    return clients_;
  }

 private:
  void Stream(httplib::Response& response);
  bool SendNext(std::optional<std::uint64_t>& next, httplib::DataSink& sink);
  bool HostAllowed(const std::string& header) const;
  GstFlowReturn OnJpeg();
  void OnEncodedAll();

  const Destination to_;
  const int quality_;
  std::string url_;
  httplib::Server server_;
  std::thread listener_;
  GstElement* pipeline_ = nullptr;
  GstElement* source_ = nullptr;
  GstElement* sink_ = nullptr;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Jpeg> latest_;
  std::uint64_t encoded_ = 0;  // so far, those of latest_ included
  int viewers_ = 0;
  int clients_ = 0;
  bool ending_ = false;  // what is kept is still sent
};

Result<void> MjpegOutput::StartEncoder() {
  pipeline_ = STAGGER_TRY(ParsePipeline(fmt::format(
      "appsrc name=frames format=time is-live=true max-buffers={} leaky-type=downstream "
      "! videoconvert ! jpegenc quality={} ! appsink name=jpegs sync=false",
      kKeptFrames, quality_)));
  source_ = gst_bin_get_by_name(GST_BIN(pipeline_), "frames");
  sink_ = gst_bin_get_by_name(GST_BIN(pipeline_), "jpegs");
  GstAppSinkCallbacks callbacks{};
  callbacks.new_sample = [](GstAppSink*, gpointer self) {
    return static_cast<MjpegOutput*>(self)->OnJpeg();
  };
  callbacks.eos = [](GstAppSink*, gpointer self) {
    static_cast<MjpegOutput*>(self)->OnEncodedAll();
  };
  gst_app_sink_set_callbacks(GST_APP_SINK(sink_), &callbacks, this, nullptr);
  gst_element_set_state(pipeline_, GST_STATE_PLAYING);
  return {};
}

Result<void> MjpegOutput::Listen() {
  server_.new_task_queue = [] { return new httplib::ThreadPool(kConnections); };
  // Only SO_REUSEADDR: the library's default would let two relays share a port.
  server_.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
  });
  server_.set_keep_alive_max_count(1);
  server_.set_keep_alive_timeout(1);
  server_.set_read_timeout(2);
  server_.set_write_timeout(kWriteTimeoutS);
  server_.set_tcp_nodelay(true);
  server_.Get(".*", [this](const httplib::Request& request, httplib::Response& response) {
    response.set_header("Cache-Control", "no-store");
    response.set_header("X-Content-Type-Options", "nosniff");
    if (!HostAllowed(request.get_header_value("Host"))) {
      response.status = 403;
      response.set_content("this name is not one of this relay's\n", "text/plain");
    } else if (request.path != to_.path) {
      response.status = 404;
      response.set_content("the video is at " + to_.path + "\n", "text/plain");
    } else {
      Stream(response);
    }
  });
  errno = 0;
  int port = to_.port;
  const bool bound = port == 0 ? (port = server_.bind_to_any_port(to_.host)) > 0
                               : server_.bind_to_port(to_.host, port);
  if (!bound) {
    return Error{fmt::format("cannot listen on {}:{}: {}", to_.host, to_.port,
                             errno != 0 ? std::strerror(errno) : "no such address here")};
  }
  url_ = to_.Url(port);
  listener_ = std::thread([this] { server_.listen_after_bind(); });
  // A stop() that comes before the listener runs would be lost.
  while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return {};
}

MjpegOutput::~MjpegOutput() {
  if (pipeline_ != nullptr) {
    gst_element_set_state(pipeline_, GST_STATE_NULL);
    gst_object_unref(source_);
    gst_object_unref(sink_);
    gst_object_unref(pipeline_);
  }
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    latest_.clear();
  }
  changed_.notify_all();
  server_.stop();
  if (listener_.joinable()) listener_.join();
}

// On the loopback address a page of somebody else's that calls itself a name for 127.0.0.1 (DNS
// rebinding) must not read the video.
bool MjpegOutput::HostAllowed(const std::string& header) const {
  if (!to_.loopback()) return true;
  std::string host = header.substr(0, header.find(':'));
  if (header.starts_with('[')) host = header.substr(1, header.find(']') - 1);
  return host.empty() || host == "localhost" || host == "::1" || host == to_.host ||
         host.starts_with("127.");
}

void MjpegOutput::Stream(httplib::Response& response) {
  {
    const std::lock_guard lock(mutex_);
    if (viewers_ == kViewers || ending_) {
      response.status = 503;
      response.set_content(ending_ ? "the video is over\n" : "too many viewers\n", "text/plain");
      return;
    }
    ++clients_;
    ++viewers_;
  }
  response.set_content_provider(
      "multipart/x-mixed-replace; boundary=frame",
      [this, next = std::optional<std::uint64_t>()](size_t, httplib::DataSink& sink) mutable {
        return SendNext(next, sink);
      },
      [this](bool) {
        const std::lock_guard lock(mutex_);
        --viewers_;
      });
}

// `next` counts pictures as encoded_ does; empty before the first call.
bool MjpegOutput::SendNext(std::optional<std::uint64_t>& next, httplib::DataSink& sink) {
  std::unique_lock lock(mutex_);
  if (!next) {
    next = encoded_;
    lock.unlock();
    return sink.write(kBoundary.data(), kBoundary.size());
  }
  changed_.wait_for(lock, kIdlePoll, [&] { return ending_ || *next < encoded_; });
  next = std::max(*next, encoded_ - latest_.size());
  if (*next == encoded_) {
    // After a while without news, look whether the viewer is still there.
    return !ending_ && sink.is_writable();
  }
  const Jpeg jpeg = latest_[latest_.size() - (encoded_ - (*next)++)];
  lock.unlock();
  // The boundary follows each frame at once: browsers show a frame when they see its end.
  const std::string head =
      fmt::format("Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg->size());
  return sink.write(head.data(), head.size()) && sink.write(jpeg->data(), jpeg->size()) &&
         sink.write("\r\n", 2) && sink.write(kBoundary.data(), kBoundary.size());
}

void MjpegOutput::Push(GstSample* sample, TimePoint) {
  {
    const std::lock_guard lock(mutex_);
    if (viewers_ == 0) return;
  }
  gst_app_src_push_sample(GST_APP_SRC(source_), sample);
}

GstFlowReturn MjpegOutput::OnJpeg() {
  GstSample* sample = gst_app_sink_pull_sample(GST_APP_SINK(sink_));
  if (sample == nullptr) return GST_FLOW_EOS;
  GstMapInfo map;
  GstBuffer* buffer = gst_sample_get_buffer(sample);
  if (gst_buffer_map(buffer, &map, GST_MAP_READ) == TRUE) {
    const auto jpeg =
        std::make_shared<const std::string>(reinterpret_cast<const char*>(map.data), map.size);
    gst_buffer_unmap(buffer, &map);
    {
      const std::lock_guard lock(mutex_);
      latest_.push_back(jpeg);
      if (latest_.size() > kKeptFrames) latest_.pop_front();
      ++encoded_;
    }
    changed_.notify_all();
  }
  gst_sample_unref(sample);
  return GST_FLOW_OK;
}

void MjpegOutput::OnEncodedAll() {
  const std::lock_guard lock(mutex_);
  ending_ = true;
  changed_.notify_all();
}

}  // namespace

Result<std::unique_ptr<Output>> OpenMjpegOutput(const Options& options) {
  auto output = std::make_unique<MjpegOutput>(options);
  if (const Result<void> encoder = output->StartEncoder(); !encoder) return encoder.error();
  if (const Result<void> listening = output->Listen(); !listening) return listening.error();
  return std::unique_ptr<Output>(std::move(output));
}

}  // namespace stagger::relay
