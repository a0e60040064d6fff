#include "daemon/view/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <httplib.h>
#include <spdlog/spdlog.h>

#include <thread>

#include "daemon/view/metrics.h"
#include "daemon/view/video_finder.h"
#include "documents/json.h"
#include "web/pages.h"

namespace stagger::daemon {

namespace {

constexpr std::size_t kThreads = 4;
constexpr int kTooBusy = 503;  // the daemon, to make a snapshot in time
constexpr Duration kSnapshotLimit = std::chrono::milliseconds{300};

// The page may load itself, its data, and the pictures that apps of this machine serve.
constexpr const char* kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data: http://127.0.0.1:* http://localhost:*; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

bool IsLiteralAddress(const std::string& host) {
  in6_addr any{};
  return inet_pton(AF_INET, host.c_str(), &any) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &any) == 1;
}

// The library's default adds SO_REUSEPORT, with which two daemons would share a port silently.
void ReuseAddressOnly(socket_t fd) {
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

}  // namespace

bool HttpAddress::loopback() const {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0;
}

std::string HttpAddress::ToString() const {
  return host.find(':') != std::string::npos ? fmt::format("[{}]:{}", host, port)
                                             : fmt::format("{}:{}", host, port);
}

bool HostAllowed(const std::string& host_header, const HttpAddress& configured) {
  std::string host = host_header;
  if (!host.empty() && host.front() == '[') {
    const std::size_t end = host.find(']');
    if (end == std::string::npos) return false;
    if (end + 1 < host.size() && host[end + 1] != ':') return false;
    host = host.substr(1, end - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  if (host == "localhost" || host == "127.0.0.1" || host == "::1" || host == configured.host) {
    return true;
  }
  return !configured.loopback() && IsLiteralAddress(host);
}

struct HttpServer::Impl {
  httplib::Server server;
  HttpAddress address;
  SnapshotBoard* board = nullptr;
  VideoFinder videos;
  std::thread thread;

  void Route();
};

void HttpServer::Impl::Route() {
  server.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& reply) {
    reply.set_header("Cache-Control", "no-store");
    reply.set_header("X-Content-Type-Options", "nosniff");
    reply.set_header("Content-Security-Policy", kContentPolicy);
    if (!HostAllowed(request.get_header_value("Host"), address)) {
      reply.status = 403;
      reply.set_content("this name is not one of this daemon's\n", "text/plain");
      return httplib::Server::HandlerResponse::Handled;
    }
    if (request.method != "GET" && request.method != "HEAD") {
      reply.status = 405;
      reply.set_header("Allow", "GET, HEAD");
      reply.set_content("this interface only reads\n", "text/plain");
      return httplib::Server::HandlerResponse::Handled;
    }
    return httplib::Server::HandlerResponse::Unhandled;
  });
  for (const web::Page& page : web::Pages()) {
    server.Get(page.path, [&page](const httplib::Request&, httplib::Response& reply) {
      reply.set_content(page.content.data(), page.content.size(), page.type);
    });
  }
  server.Get("/healthz", [](const httplib::Request&, httplib::Response& reply) {
    reply.set_content("ok\n", "text/plain");
  });
  server.Get("/api/status", [this](const httplib::Request&, httplib::Response& reply) {
    const std::shared_ptr<const Snapshot> snapshot = board->Read(kSnapshotLimit);
    reply.status = snapshot == nullptr ? kTooBusy : 200;
    if (snapshot == nullptr) return;
    documents::Status status = snapshot->Complete();
    videos.Annotate(&status);
    reply.set_content(documents::ToText(status), "application/json");
  });
  server.Get("/metrics", [this](const httplib::Request&, httplib::Response& reply) {
    const std::shared_ptr<const Snapshot> snapshot = board->Read(kSnapshotLimit);
    reply.status = snapshot == nullptr ? kTooBusy : 200;
    if (snapshot == nullptr) return;
    reply.set_content(MetricsText(snapshot->Complete()), "text/plain; version=0.0.4");
  });
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  StopAccepting();
  if (impl_->thread.joinable()) impl_->thread.join();
}

const HttpAddress& HttpServer::address() const { return impl_->address; }

void HttpServer::StopAccepting() { impl_->server.stop(); }

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpAddress& address, bool or_any_port,
                                                      SnapshotBoard* board) {
  auto impl = std::make_unique<Impl>();
  impl->board = board;
  impl->address = address;
  httplib::Server& server = impl->server;
  server.set_socket_options(ReuseAddressOnly);
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  // One request per connection: an idle kept connection costs this library a thread that polls.
  server.set_keep_alive_max_count(1);
  server.set_keep_alive_timeout(1);
  server.set_read_timeout(2, 0);
  server.set_write_timeout(2, 0);
  server.set_payload_max_length(64 * 1024);
  impl->Route();

  bool bound = address.port != 0 && server.bind_to_port(address.host, address.port);
  if (!bound && (address.port == 0 || or_any_port)) {
    if (address.port != 0) {
      spdlog::warn("port {} is taken: the dashboard gets another one", address.port);
    }
    impl->address.port = server.bind_to_any_port(address.host);
    bound = impl->address.port > 0;
  }
  if (!bound) {
    return Error{"cannot listen at http address " + address.ToString() +
                 ": is it this machine's, and is the port free?"};
  }
  impl->thread = std::thread([&server] { server.listen_after_bind(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

}  // namespace stagger::daemon
