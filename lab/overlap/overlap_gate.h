// The daemon's end of the wire for two copies of one app, so that an overlap sweep decides to the
// instant when each body may start. Not a daemon: no policy, no leases to speak of, nobody else.
// One thread; nothing here blocks but Wait.
#pragma once

#include <sys/types.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "lab/overlap/overlap_sweep.h"
#include "wire/listener.h"
#include "wire/messages.h"

namespace stagger::cli {

class OverlapGate {
 public:
  static constexpr int kCopies = 2;

  static Result<OverlapGate> Listen(const std::string& socket, std::vector<wire::Gpu> gpus);

  // The copies run anew, as the leaders of these process groups. What was under way is forgotten.
  void Expect(const std::array<pid_t, kCopies>& groups);

  // Sleeps until something came, `until`, or one of `others` is readable; then handles what came.
  void Wait(TimePoint until, const std::vector<int>& others);

  // The copy waits for its turn, and its inference before is over.
  bool AtTheGate(int copy) const;
  // It infers: it was granted a turn, and the inference is not over.
  bool Inferring(int copy) const;
  TimePoint asked(int copy) const { return copies_[copy].asked; }
  std::optional<DeviceId> device(int copy) const { return copies_[copy].device; }
  void Grant(int copy);

  struct Finished {
    ProbeTimes times;
    double pre_ms = 0;
    int bodies = 1;
  };
  // The inference that the copy was granted a turn for, once it is over; once each.
  std::optional<Finished> TakeFinished(int copy);
  // Turns of it without the end of an inference.
  int turns_without_end(int copy) const { return copies_[copy].turns_without_end; }
  // Turns of other processes of the copies, which were granted at once.
  int bystanders() const { return bystanders_; }

 private:
  struct Client {
    UniqueFd socket;
    int copy = -1;
    bool greeted = false;
  };
  struct Copy {
    pid_t group = -1;
    int client = -1;  // the connection of its process that asked first
    std::optional<DeviceId> device;
    std::optional<TurnSeq> waiting;  // the request that is not granted yet
    TimePoint asked;
    // The inference under way.
    bool inferring = false;
    bool held = false;  // a turn of it is out
    bool ended = false;
    int bodies = 0;
    Duration pre{};
    Duration wait{};
    Duration body{};
    Duration post{};
    Duration call{};
    std::optional<Finished> finished;
    int turns_without_end = 0;
  };

  OverlapGate(wire::Listener listener, std::vector<wire::Gpu> gpus)
      : listener_(std::move(listener)), gpus_(std::move(gpus)) {}
  void Accept();
  bool Read(int id, Client& client);  // false: it is gone
  void Handle(int id, Client& client, const wire::Message& message);
  void Requested(int id, Client& client, const wire::Request& request);
  void Ended(Copy& copy, Duration post, Duration call);
  void FinishIfOver(Copy& copy);
  Copy* CopyOf(int id, const Client& client);

  wire::Listener listener_;
  std::vector<wire::Gpu> gpus_;
  std::map<int, Client> clients_;
  int last_id_ = 0;
  std::array<Copy, kCopies> copies_;
  int bystanders_ = 0;
};

}  // namespace stagger::cli
