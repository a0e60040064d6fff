// Admission in the daemon: which streams are judged, when, and what follows in strict mode.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/clients/admission_service.h"

namespace stagger::daemon {
namespace {

using testing::HasSubstr;

class Admission : public testing::Test {
 protected:
  void Begin() {
    core::EngineConfig config;
    config.devices = {{"gpu:0", {}}};
    config.policy = {.name = "edf", .concurrency = 1};
    engine_ =
        std::make_unique<core::Engine>(std::move(core::Engine::Create(std::move(config))).value());
  }
  void Join(std::uint64_t client, const std::string& name, double fps) {
    StreamSpec spec;
    spec.name = name;
    spec.required_fps = fps;
    spec.deadline = FromMs(1000 / fps);
    engine_->Step(core::ClientJoined{{client}, spec}, now_);
  }
  // Bodies of that length, one after the other; what the service said to the last.
  std::optional<core::RateCapped> Bodies(AdmissionService* service, std::uint64_t client, int count,
                                         double body_ms) {
    std::optional<core::RateCapped> cap;
    for (int i = 0; i < count; ++i) {
      auto said = engine_->Step(core::TurnRequested{{client}, {++seq_}, {0}, {}, true}, now_);
      while (!Granted(said)) {  // under overload its slot comes later
        now_ = engine_->NextDeadline();
        said = engine_->Step(core::Tick{}, now_);
      }
      now_ = now_ + FromMs(body_ms);
      engine_->Step(core::TurnReleased{{client}, {seq_}, FromMs(body_ms), {}, FromMs(body_ms)},
                    now_);
      if (auto capped = service->OnRelease(*engine_, {client})) cap = capped;
    }
    return cap;
  }

  static bool Granted(const std::vector<core::Action>& actions) {
    return std::ranges::any_of(actions, [](const core::Action& action) {
      return std::holds_alternative<core::Grant>(action);
    });
  }

  std::unique_ptr<core::Engine> engine_;
  TimePoint now_{};
  std::uint64_t seq_ = 0;
};

TEST_F(Admission, AStreamIsJudgedOnceEnoughOfItIsKnown) {
  Begin();
  AdmissionService service(AdmissionMode::kWarn);
  Join(1, "gate", 10);
  Bodies(&service, 1, admission::kProfiled - 1, 20);
  EXPECT_EQ(service.Of({1}), nullptr);
  Bodies(&service, 1, 1, 20);
  ASSERT_NE(service.Of({1}), nullptr);
  EXPECT_TRUE(service.Of({1})->fits);
  const auto device = AdmissionService::Judge(admission::LoadOf(*engine_, {0}));
  ASSERT_TRUE(device);
  EXPECT_NEAR(device->fit.utilisation, 0.2, 0.001);
  EXPECT_GT(device->headroom_fps.value_or(0), 5);
}

TEST_F(Admission, WarnSaysWhoIsMadeLateAndChangesNothing) {
  Begin();
  AdmissionService service(AdmissionMode::kWarn);
  Join(1, "cam7", 30);
  Join(2, "gate", 1);
  Bodies(&service, 1, admission::kProfiled, 8);
  EXPECT_FALSE(Bodies(&service, 2, admission::kProfiled, 45));
  ASSERT_NE(service.Of({2}), nullptr);
  EXPECT_FALSE(service.Of({2})->fits);
  EXPECT_THAT(service.Of({2})->reason, HasSubstr("cam7 at 30 fps does not fit: gate's 45 ms body"));
}

TEST_F(Admission, StrictGivesALatecomerWhatFitsAndTheRestWhenThereIsRoom) {
  Begin();
  AdmissionService service(AdmissionMode::kStrict);
  Join(1, "first", 10);
  Join(2, "second", 10);
  Bodies(&service, 1, admission::kProfiled, 60);
  const auto cap = Bodies(&service, 2, admission::kProfiled, 30);
  ASSERT_EQ(cap, std::nullopt) << "90 ms of bodies every 100 ms";
  Join(3, "third", 10);
  const auto third = Bodies(&service, 3, admission::kProfiled, 30);
  ASSERT_TRUE(third);
  EXPECT_LT(third->fps, 3.4) << "a tenth of the device is left";
  EXPECT_GE(third->fps, 0.5) << "never nothing";
  engine_->Step(*third, now_);
  EXPECT_NEAR(engine_->streams().at({3}).assigned_fps, third->fps, 0.001);
  EXPECT_EQ(engine_->streams().at({1}).assigned_fps, 0);
  // It is not blamed twice, and has its rate again once the first is gone.
  EXPECT_FALSE(Bodies(&service, 3, 1, 30));
  engine_->Step(core::ClientLeft{{1}}, now_);
  const auto lifted = service.OnLeave({1});
  ASSERT_EQ(lifted.size(), 1u);
  EXPECT_EQ(lifted[0], (core::RateCapped{{3}, 0}));
  engine_->Step(lifted[0], now_);
  EXPECT_EQ(engine_->streams().at({3}).assigned_fps, 0);
  EXPECT_FALSE(Bodies(&service, 3, 1, 30));
  EXPECT_TRUE(service.Of({3})->fits);
}

TEST_F(Admission, OffJudgesNobody) {
  Begin();
  AdmissionService service(AdmissionMode::kOff);
  Join(1, "gate", 100);
  Bodies(&service, 1, 2 * admission::kProfiled, 50);
  EXPECT_EQ(service.Of({1}), nullptr);
}

}  // namespace
}  // namespace stagger::daemon
