// The executor's one loop: takes slots, loads their models, and runs one inference at a time, the
// one that is due first, together with others of its model that wait where that helps. One thread;
// nothing a client does may stop it or touch another client.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "documents/executor.h"
#include "executor/batch.h"
#include "executor/measurements.h"
#include "executor/models.h"
#include "executor/shared_memory.h"
#include "wire/executor_channel.h"
#include "wire/listener.h"

namespace stagger::executor {

struct ServerSettings {
  Target target;
  double share = 1;                 // of a core's time, where there is one thread
  std::uint64_t shared_memory = 0;  // bytes for all arenas
  int max_batch = 1;                // items in a batch; 1: each request runs alone
  // Told before each inference in how long its result is due, if that is stated, for its turn.
  std::function<void(std::optional<Duration>)> due_in{};
};

class Server {
 public:
  Server(wire::Listener listener, ServerSettings settings);
  ~Server();

  // Until `stop_fd` is readable.
  void Run(int stop_fd);

 private:
  struct Client;
  using ClientAt = std::list<Client>::iterator;

  void Accept();
  void Read(Client& client);
  void Handle(Client& client, wire::ExecutorMessage message, wire::Descriptors descriptors);
  void Open(Client& client, const wire::Open& open, UniqueFd model);
  void Loaded(const std::shared_ptr<ModelEntry>& entry);
  void FinishOpen(Client& client);
  void Refuse(Client& client, const std::string& reason);
  Client* Next();
  void Round(Client& first, Duration load);
  void Serve(Client& first);
  bool RunOne(Client& client);
  static Work WorkOf(Client& client);
  void RunBatch(ModelEntry& entry, const std::vector<Client*>& members, int items);
  Duration Alone(const Client& client) const;
  Duration Patience() const;
  void TellDue(TimePoint due) const;
  int MaxItems(const ModelEntry& entry) const;
  void Remove(ClientAt client);
  std::string Status() const;
  std::vector<documents::ExecutorSlot> Slots(std::size_t most) const;

  wire::Listener listener_;
  ServerSettings settings_;
  Budget budget_;
  Models models_;
  Measurements measurements_;
  std::vector<std::string> served_;  // apps with an inference in the round at hand
  std::list<Client> clients_;
  Batch batch_;
  int streak_ = 0;  // requests served since none other waited
  std::uint64_t arrivals_ = 0;
  // The client that is next, while its model is loaded again. Nobody else is served meanwhile: the
  // load is part of its turn, which is what plans count with.
  Client* awaits_ = nullptr;
  TimePoint rests_until_{};  // the rest of the core's time is others'
};

}  // namespace stagger::executor
