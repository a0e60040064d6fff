#include "record/chrome_trace.h"

#include <map>
#include <string>
#include <utility>

namespace stagger::record {
namespace {

using nlohmann::ordered_json;

class Tracer {
 public:
  explicit Tracer(const Recording& recording) : recording_(recording) {
    for (std::size_t device = 0; device < recording.config.devices.size(); ++device) {
      Name("process_name", device, 0, recording.config.devices[device].name);
    }
  }

  ordered_json Run() {
    for (const Step& step : recording_.steps) {
      now_ = step.at;
      std::visit([this](const auto& event) { On(event); }, step.event);
      for (const core::Action& action : step.actions) {
        std::visit([this](const auto& a) { On(a); }, action);
      }
    }
    return {{"traceEvents", std::move(events_)}, {"displayTimeUnit", "ms"}};
  }

 private:
  struct Turn {
    DeviceId device;
    TimePoint since;
    bool runs = false;
  };
  using Key = std::pair<ClientId, TurnSeq>;

  double Us(TimePoint at) const {
    return static_cast<double>((at - recording_.steps.front().at).count()) / 1e3;
  }

  void Name(const char* what, std::size_t device, std::uint64_t client, const std::string& name) {
    events_.push_back({{"name", what},
                       {"ph", "M"},
                       {"pid", device},
                       {"tid", client},
                       {"args", {{"name", name}}}});
  }

  void Slice(const char* name, ClientId client, DeviceId device, TimePoint from, TimePoint to,
             ordered_json arguments) {
    if (to <= from) return;
    if (named_.emplace(std::pair{client, device}, true).second) {
      Name("thread_name", device.value, client.value, names_[client]);
    }
    events_.push_back({{"name", name},
                       {"ph", "X"},
                       {"pid", device.value},
                       {"tid", client.value},
                       {"ts", Us(from)},
                       {"dur", Us(to) - Us(from)},
                       {"args", std::move(arguments)}});
  }

  void On(const core::ClientJoined& e) { names_[e.client] = e.spec.name; }
  void On(const core::ClientLeft& e) {
    std::erase_if(turns_, [&](const auto& turn) { return turn.first.first == e.client; });
  }
  void On(const core::TurnRequested& e) {
    turns_[{e.client, e.seq}] = {e.device, now_, !e.gated || e.exclusive};
  }
  void On(const core::TurnReleased& e) {
    const auto found = turns_.find({e.client, e.seq});
    if (found == turns_.end()) return;
    if (found->second.runs) {
      Slice("body", e.client, found->second.device, found->second.since, now_,
            {{"turn", e.seq.value}});
    }
    turns_.erase(found);
  }
  void On(const core::TurnCancelled& e) {
    const auto found = turns_.find({e.client, e.seq});
    if (found == turns_.end()) return;
    Slice("gave up waiting", e.client, found->second.device, found->second.since, now_,
          ordered_json::object());
    turns_.erase(found);
  }
  void On(const core::TurnClaimed& e) { turns_[{e.client, e.seq}] = {e.device, now_, true}; }
  void On(const core::Grant& a) {
    const auto found = turns_.find({a.client, a.seq});
    if (found == turns_.end()) return;
    const TimePoint asked = found->second.since;
    Slice("held back", a.client, a.device, asked, asked + a.deferred, ordered_json::object());
    Slice("waits", a.client, a.device, asked + a.deferred, now_, {{"until", ToString(a.reason)}});
    found->second = {a.device, now_, true};
  }
  void On(const core::Expire& a) {
    events_.push_back({{"name", "lease ended"},
                       {"ph", "i"},
                       {"s", "t"},
                       {"pid", a.device.value},
                       {"tid", a.client.value},
                       {"ts", Us(now_)}});
  }
  template <typename Other>
  void On(const Other&) {}

  const Recording& recording_;
  TimePoint now_{};
  std::map<ClientId, std::string> names_;
  std::map<Key, Turn> turns_;
  std::map<std::pair<ClientId, DeviceId>, bool> named_;
  ordered_json events_ = ordered_json::array();
};

}  // namespace

ordered_json ChromeTrace(const Recording& recording) { return Tracer(recording).Run(); }

}  // namespace stagger::record
