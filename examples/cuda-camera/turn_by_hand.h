// What apps do that share a GPU by hand: around its body each takes a turn from a relay that all
// of them know, and gives it back when it sees that the body is over.
#pragma once

#include <string>

namespace cuda_camera {

class TurnByHand {
 public:
  // `socket`: where the relay listens (SOCK_SEQPACKET). Empty: no turns. Ends the program if there
  // is no relay.
  explicit TurnByHand(const std::string& socket);

  void Take() const;  // waits for it
  void Give() const;

 private:
  int fd_ = -1;
};

}  // namespace cuda_camera
