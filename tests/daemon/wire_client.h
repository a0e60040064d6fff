// A client for tests: waits on events with a deadline, never for a time.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <variant>

#include "base/fd.h"
#include "wire/channel.h"
#include "wire/messages.h"

namespace stagger::daemon_test {

class WireClient {
 public:
  // Connects; says Hello and takes the Welcome and the first Config if it has a name.
  explicit WireClient(const std::string& socket, const std::string& name = {},
                      std::uint32_t fps_milli = 0);

  int fd() const { return fd_.get(); }
  const wire::Welcome& welcome() const { return welcome_; }
  void Close() { fd_.Reset(); }
  void Send(const wire::Message& message);
  void Request(std::uint64_t seq, DeviceId device = wire::kCpuDevice) {
    Send(wire::Request{TurnSeq{seq}, device, {}, true});
  }
  void Release(std::uint64_t seq);

  // The next message; nullopt: the connection has ended, or nothing came in time.
  std::optional<wire::Message> Next();
  bool WaitClosed();  // reads on until the daemon has closed

  // Reads on until a message of this kind; others on the way are skipped, Grants are not.
  template <typename T>
  std::optional<T> Await() {
    while (auto message = Next()) {
      if (auto* wanted = std::get_if<T>(&*message)) return *wanted;
      if (std::holds_alternative<wire::Grant>(*message)) {
        ADD_FAILURE() << "an unexpected grant";
        return std::nullopt;
      }
    }
    return std::nullopt;
  }
  // True if nothing but Config has come so far. Ask only where something that is ordered after
  // what must not come has been seen already.
  bool NothingYet();

 private:
  UniqueFd fd_;
  wire::Welcome welcome_;
};

// One command, its whole answer put together in `chunk`.
wire::ControlReply Command(const std::string& socket, const std::string& verb,
                           const std::string& body = {});

}  // namespace stagger::daemon_test
