#include "daemon/wire_client.h"

#include <poll.h>

#include <chrono>

#include "daemon/daemon_process.h"

namespace stagger::daemon_test {

WireClient::WireClient(const std::string& socket, const std::string& name,
                       std::uint32_t fps_milli) {
  auto fd = wire::Connect(socket);
  EXPECT_TRUE(fd.has_value()) << fd.error().message;
  if (!fd) return;
  fd_ = std::move(fd).value();
  if (name.empty()) return;
  wire::Hello hello;
  hello.spec.name = name;
  hello.spec.required_fps = fps_milli / 1000.0;
  Send(hello);
  auto welcome = Await<wire::Welcome>();
  EXPECT_TRUE(welcome.has_value());
  if (welcome) welcome_ = std::move(*welcome);
  EXPECT_TRUE(Await<wire::Config>().has_value());
}

void WireClient::Send(const wire::Message& message) {
  EXPECT_EQ(wire::Send(fd_.get(), message), wire::Io::kOk);
}

void WireClient::Release(std::uint64_t seq) {
  Send(wire::Release{TurnSeq{seq}, FromMs(1), FromMs(1), FromMs(3)});
}

std::optional<wire::Message> WireClient::Next() {
  const auto end = std::chrono::steady_clock::now() + kLimit;
  for (;;) {
    wire::Message message;
    const wire::Io io = wire::Receive(fd_.get(), &message);
    if (io == wire::Io::kOk) return message;
    if (io != wire::Io::kWouldBlock) return std::nullopt;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd ready{fd_.get(), POLLIN, 0};
    if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) {
      ADD_FAILURE() << "nothing came in time";
      return std::nullopt;
    }
  }
}

bool WireClient::WaitClosed() {
  while (Next()) {
  }
  wire::Message message;
  return wire::Receive(fd_.get(), &message) == wire::Io::kClosed;
}

bool WireClient::NothingYet() {
  for (;;) {
    wire::Message message;
    const wire::Io io = wire::Receive(fd_.get(), &message);
    if (io == wire::Io::kWouldBlock) return true;
    if (io != wire::Io::kOk || !std::holds_alternative<wire::Config>(message)) return false;
  }
}

wire::ControlReply Command(const std::string& socket, const std::string& verb,
                           const std::string& body) {
  WireClient client(socket);
  client.Send(wire::Control{wire::kProtocolVersion, verb, body});
  wire::ControlReply whole;
  do {
    auto part = client.Await<wire::ControlReply>();
    if (!part) return {false, false, "no answer"};
    whole.ok = part->ok;
    whole.more = part->more;
    whole.chunk += part->chunk;
  } while (whole.more);
  return whole;
}

}  // namespace stagger::daemon_test
