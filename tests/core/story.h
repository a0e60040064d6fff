// Tells the engine's story in a line per action, so that tests read like prose. Clients are
// letters, times are milliseconds that the test lets pass.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/engine.h"

namespace stagger::core {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Lines = std::vector<std::string>;

inline Duration Ms(std::int64_t ms) { return std::chrono::milliseconds{ms}; }
inline ClientId IdOf(char name) { return {static_cast<std::uint64_t>(name)}; }

class Story : public testing::Test {
 protected:
  static EngineConfig Cpu(std::vector<std::uint16_t> cores, int k, std::string policy = "fifo") {
    EngineConfig config;
    config.devices = {{"cpu:0", std::move(cores)}};
    config.policy = {std::move(policy), k};
    return config;
  }
  static EngineConfig Gpu(int k, std::string policy = "fifo") {
    return Cpu({}, k, std::move(policy));
  }
  void Begin(EngineConfig config) {
    engine_ = std::make_unique<Engine>(std::move(Engine::Create(std::move(config))).value());
    now_ = TimePoint{Ms(1000)};
  }
  void Begin(EngineConfig config, const std::string& clients) {
    Begin(std::move(config));
    for (const char name : clients) Join(name);
  }

  void Pass(std::int64_t ms) { now_ = now_ + Ms(ms); }

  Lines Join(char name, StreamSpec spec = {}) {
    return Do(ClientJoined{IdOf(name), std::move(spec)});
  }
  Lines Leave(char name) { return Do(ClientLeft{IdOf(name)}); }
  Lines Ask(char name, std::uint32_t device = 0) {
    return Do(TurnRequested{IdOf(name), Next(name), DeviceId{device}, {}, true});
  }
  Lines BeginUngated(char name, std::uint32_t device = 0) {
    return Do(TurnRequested{IdOf(name), Next(name), DeviceId{device}, {}, false});
  }
  Lines BeginExclusive(char name, std::uint32_t device = 0) {
    return Do(TurnRequested{IdOf(name), Next(name), DeviceId{device}, {}, true, true});
  }
  Lines Release(char name, std::int64_t body_ms = 0) {
    return ReleaseSeq(name, seq_[name], body_ms);
  }
  Lines ReleaseSeq(char name, std::uint64_t seq, std::int64_t body_ms = 0) {
    return Do(TurnReleased{IdOf(name), {seq}, Ms(body_ms), Ms(0), Ms(body_ms)});
  }
  Lines Cancel(char name) { return Do(TurnCancelled{IdOf(name), {seq_[name]}}); }
  Lines Claim(char name, std::int64_t held_ms) {
    return Do(TurnClaimed{IdOf(name), Next(name), DeviceId{0}, Ms(held_ms)});
  }
  Lines Policy(std::string name, int k = 0) { return Do(PolicySet{{std::move(name), k}}); }
  Lines Wait() { return Do(Tick{}); }

  // What happens to turns; what clients are told of their bounds is kept apart, in `told_`.
  Lines Do(const Event& event) {
    Lines lines;
    told_.clear();
    grants_.clear();
    for (const Action& action : engine_->Step(event, now_)) {
      if (const auto* grant = std::get_if<Grant>(&action)) {
        lines.push_back(Name(grant->client) + " runs: " + ToString(grant->reason));
        grants_.push_back(*grant);
      } else if (const auto* expire = std::get_if<Expire>(&action)) {
        lines.push_back(Name(expire->client) + " expires: " + ToString(expire->reason));
      } else if (const auto* told = std::get_if<Configure>(&action)) {
        knows_[static_cast<char>(told->client.value)] = *told;
        told_.push_back(Name(told->client) + (told->gating ? " gated, " : " free, ") +
                        std::to_string(told->wait_bound / Ms(1)) +
                        " ms: " + ToString(told->reason));
      }
    }
    return lines;
  }

  const Stream& Of(char name) const { return engine_->streams().at(IdOf(name)); }
  const StreamCounters& Count(char name) const { return Of(name).counters; }
  const DeviceState& Device(std::size_t index = 0) const { return engine_->devices()[index]; }
  std::uint64_t SeqOf(char name) { return seq_[name]; }

  std::unique_ptr<Engine> engine_;
  TimePoint now_;
  Lines told_;                       // by the last event
  std::map<char, Configure> knows_;  // what each client was told last
  std::vector<Grant> grants_;        // by the last event

 private:
  static std::string Name(ClientId client) { return {static_cast<char>(client.value)}; }
  TurnSeq Next(char name) { return {++seq_[name]}; }
  std::map<char, std::uint64_t> seq_;
};

}  // namespace stagger::core
