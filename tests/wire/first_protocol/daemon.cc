// A daemon of the first protocol for the process tests:
//
//   first-protocol-daemon SOCKET                 welcomes its clients and grants every turn
//   first-protocol-daemon SOCKET --newer         the same with fields appended to all it says, and
//                                                with features that nobody has heard of
//   first-protocol-daemon SOCKET --refuse TEXT   turns its clients away
//   first-protocol-daemon SOCKET --later MS      turns them away for so long
//
// Says on stdout what it hears, a line each: "ready", "hello NAME", "request SEQ", "release SEQ".
#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "wire/first_protocol/protocol.h"

namespace {

namespace first = stagger::first_protocol;

constexpr int kForever = -1;

struct Behaviour {
  bool newer = false;
  std::string refuse;
  int later_ms = -1;
};

void Say(const char* what, const std::string& more) {
  std::printf("%s %s\n", what, more.c_str());
  std::fflush(stdout);
}

bool Answer(first::Connection& client, const first::Heard& heard, const Behaviour& behaviour) {
  const auto send = [&](first::Packet packet) {
    return client.Send(behaviour.newer ? first::Newer(std::move(packet)) : packet);
  };
  switch (heard.type) {
    case first::kHello:
      Say("hello", heard.Text(2));
      if (!behaviour.refuse.empty()) return client.Send(first::Refused(behaviour.refuse)), false;
      if (behaviour.later_ms >= 0) {
        return send(first::RetryAfter(static_cast<std::uint64_t>(behaviour.later_ms), "no room")),
               false;
      }
      return send(first::Welcome(1, behaviour.newer ? ~std::uint64_t{0} : 0)) &&
             send(first::Config());
    case first::kRequest:
      Say("request", std::to_string(heard.Number(0, 8)));
      // What is not gated awaits no grant.
      return heard.Number(20, 1) == 0 || send(first::Grant(heard.Number(0, 8)));
    case first::kRelease:
      Say("release", std::to_string(heard.Number(0, 8)));
      return true;
    default:
      return true;  // counted and told only
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  Behaviour behaviour;
  for (int i = 2; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--newer") behaviour.newer = true;
    if (option == "--refuse" && i + 1 < argc) behaviour.refuse = argv[++i];
    if (option == "--later" && i + 1 < argc) behaviour.later_ms = std::atoi(argv[++i]);
  }
  first::Listener listener(argv[1]);
  if (listener.fd() < 0) return 1;
  Say("ready", "");
  std::vector<first::Connection> clients;
  while (true) {
    std::vector<pollfd> entries{{listener.fd(), POLLIN, 0}};
    for (const first::Connection& client : clients) entries.push_back({client.fd(), POLLIN, 0});
    if (poll(entries.data(), entries.size(), kForever) < 0) return 1;
    for (std::size_t i = clients.size(); i > 0; --i) {
      if (entries[i].revents == 0) continue;
      first::Connection& client = clients[i - 1];
      const auto heard = client.Next(0);
      if (!heard || !Answer(client, *heard, behaviour)) {
        clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(i - 1));
      }
    }
    if (entries[0].revents == 0) continue;
    if (auto client = listener.Accept(0)) clients.push_back(std::move(*client));
  }
}
