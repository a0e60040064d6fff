// What inferences took on this device lately: by app, and how fast the device is beside what it is
// supposed to be. For planning; nothing here decides anything. Used by the executor's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/time.h"

namespace stagger::executor {

class Measurements {
 public:
  static constexpr std::size_t kWindow = 32;  // inferences, of each app
  static constexpr int kWarmup = 5;           // first ones of each app, left out
  // Less of the device's time in the window says nothing of its pace: to a few short inferences one
  // moment without the core looks like much.
  static constexpr Duration kLeastTime = std::chrono::milliseconds{100};

  struct App {
    std::uint64_t inferences = 0;  // ever, those left out too
    std::size_t samples = 0;       // in the window
    Duration body{};               // their 90th percentile
  };

  // One inference of that app. `own`: of the device's time, were it alone on it. `took`: until the
  // next one could begin; at least `own`.
  void Add(const std::string& app, Duration own, Duration took);
  void Forget(const std::string& app) { apps_.erase(app); }

  std::map<std::string, App> Apps() const;
  // The share of what they took that the latest inferences of all apps needed: 0.5 where somebody
  // else has half of the device. 1 where they were too short to tell.
  double pace() const;
  std::uint64_t inferences() const { return inferences_; }

 private:
  struct Ring {
    std::uint64_t inferences = 0;
    std::vector<Duration> latest;
    std::size_t next = 0;
  };
  struct Spent {
    Duration own{};
    Duration took{};
  };

  std::map<std::string, Ring> apps_;
  std::vector<Spent> spent_;
  std::size_t next_spent_ = 0;
  std::uint64_t inferences_ = 0;
};

}  // namespace stagger::executor
