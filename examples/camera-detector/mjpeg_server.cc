#include "mjpeg_server.h"

#include <httplib.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace camera_detector {
namespace {

constexpr char kHost[] = "127.0.0.1";
constexpr int kConnections = 16;
constexpr int kViewers = 12;  // leaves connections for snapshots and numbers
constexpr auto kIdlePoll = std::chrono::milliseconds(200);

struct Published {
  explicit Published(Shot s) : shot(std::move(s)) {}
  Shot shot;
  std::once_flag once;
  std::string jpeg;
};

}  // namespace

class MjpegServer::Impl {
 public:
  Impl(int port, std::vector<std::string> labels, std::function<std::string()> stats)
      : labels_(std::move(labels)) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kConnections); };
    // Only SO_REUSEADDR: the library's default would let two programs listen
    // on the same port and split the viewers between them.
    server_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    // These bound how long an idle or a stuck viewer can hold up the end.
    server_.set_keep_alive_max_count(1);
    server_.set_keep_alive_timeout(1);
    server_.set_read_timeout(1);
    server_.set_write_timeout(1);
    server_.Get("/", [this](const auto&, auto& response) { Stream(response); });
    server_.Get("/snapshot.jpg", [this](const auto&, auto& response) { Snapshot(response); });
    server_.Get("/stats.json", [stats = std::move(stats)](const auto&, auto& response) {
      response.set_header("Access-Control-Allow-Origin", "*");
      response.set_header("Cache-Control", "no-store");
      response.set_content(stats() + "\n", "application/json");
    });

    const bool bound = port == 0 ? (port_ = server_.bind_to_any_port(kHost)) > 0
                                 : server_.bind_to_port(kHost, port_ = port);
    if (!bound) {
      throw std::runtime_error("--http " + std::to_string(port) + ": expected a port of " + kHost +
                               " that is free");
    }
    listener_ = std::thread([this] { server_.listen_after_bind(); });
    // A stop() that comes before the listener runs would be lost.
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    server_.stop();
    listener_.join();
  }

  int port() const { return port_; }

  void Publish(Shot shot) {
    auto published = std::make_shared<Published>(std::move(shot));
    {
      const std::lock_guard lock(mutex_);
      latest_.swap(published);
    }
    changed_.notify_all();
  }

 private:
  const std::string& Jpeg(Published& published) const {
    std::call_once(published.once, [&] { published.jpeg = RenderJpeg(published.shot, labels_); });
    return published.jpeg;
  }

  void Snapshot(httplib::Response& response) {
    std::shared_ptr<Published> latest;
    {
      const std::lock_guard lock(mutex_);
      latest = latest_;
    }
    response.set_header("Access-Control-Allow-Origin", "*");
    response.set_header("Cache-Control", "no-store");
    if (latest) {
      response.set_content(Jpeg(*latest), "image/jpeg");
    } else {
      response.status = 503;
      response.set_content("no frame yet\n", "text/plain");
    }
  }

  void Stream(httplib::Response& response) {
    {
      const std::lock_guard lock(mutex_);
      if (viewers_ >= kViewers) {
        response.status = 503;
        response.set_content("too many viewers\n", "text/plain");
        return;
      }
      ++viewers_;
    }
    response.set_header("Cache-Control", "no-store");
    auto shown = std::make_shared<std::shared_ptr<Published>>();
    response.set_content_provider(
        "multipart/x-mixed-replace; boundary=frame",
        [this, shown](size_t offset, httplib::DataSink& sink) {
          return SendNewest(offset == 0, *shown, sink);
        },
        [this](bool) {
          const std::lock_guard lock(mutex_);
          --viewers_;
        });
  }

  // A slow viewer skips frames: it is always sent the newest.
  bool SendNewest(bool first, std::shared_ptr<Published>& shown, httplib::DataSink& sink) {
    std::shared_ptr<Published> next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kIdlePoll, [&] { return closing_ || latest_ != shown; });
      if (closing_) return false;
      next = latest_;
    }
    // After a while without news, look whether the viewer is still there.
    if (next == shown) return sink.is_writable();
    shown = next;
    const std::string& jpeg = Jpeg(*next);
    // The boundary follows each frame at once: browsers show a frame when they
    // see its end.
    const std::string head =
        std::string(first ? "--frame\r\n" : "") +
        "Content-Type: image/jpeg\r\nContent-Length: " + std::to_string(jpeg.size()) + "\r\n\r\n";
    constexpr char kTail[] = "\r\n--frame\r\n";
    return sink.write(head.data(), head.size()) && sink.write(jpeg.data(), jpeg.size()) &&
           sink.write(kTail, sizeof kTail - 1);
  }

  const std::vector<std::string> labels_;
  httplib::Server server_;
  int port_ = 0;
  std::thread listener_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Published> latest_;
  int viewers_ = 0;
  bool closing_ = false;
};

MjpegServer::MjpegServer(int port, std::vector<std::string> labels,
                         std::function<std::string()> stats)
    : impl_(std::make_unique<Impl>(port, std::move(labels), std::move(stats))) {}

MjpegServer::~MjpegServer() = default;

int MjpegServer::port() const { return impl_->port(); }

void MjpegServer::Publish(Shot shot) { impl_->Publish(std::move(shot)); }

}  // namespace camera_detector
