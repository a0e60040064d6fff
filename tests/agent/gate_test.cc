// The gate in this process, with the test as its daemon on the other end of a socket pair. Real
// threads and the real clock: times are checked from below only, so that no busy machine fails.
#include "agent/gate.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <map>
#include <vector>

#include "base/clock.h"
#include "wire/channel.h"

namespace stagger::agent {
namespace {

constexpr std::chrono::seconds kLimit{20};  // generous: the machine may be busy
constexpr DeviceId kFirst{1};               // as this process numbers them
constexpr DeviceId kSecond{2};

wire::GpuUuid Uuid(std::uint8_t last) {
  wire::GpuUuid uuid{};
  uuid.back() = last;
  return uuid;
}

const std::vector<wire::Gpu> kTwoGpus{{{1}, Uuid(10)}, {{2}, Uuid(20)}};

class GateTest : public testing::Test {
 protected:
  void Attach(const std::vector<wire::Gpu>& gpus = kTwoGpus, Duration bound = kLimit * 10,
              Duration period = {}) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    daemon_ = UniqueFd(ends[0]);
    gate_.Attach(UniqueFd(ends[1]), wire::Config{true, bound, period}, gpus);
  }

  // What the gate says next, which must be a T.
  template <typename T>
  T Next() {
    wire::Message message;
    pollfd ready{daemon_.get(), POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(kLimit).count())) == 1 &&
        wire::Receive(daemon_.get(), &message) == wire::Io::kOk) {
      if (const T* wanted = std::get_if<T>(&message)) return *wanted;
    }
    ADD_FAILURE() << "not what was expected next";
    return {};
  }
  bool Silent() {
    wire::Message message;
    return wire::Receive(daemon_.get(), &message) == wire::Io::kWouldBlock;
  }
  void Say(const wire::Message& message) {
    ASSERT_EQ(wire::Send(daemon_.get(), message), wire::Io::kOk);
  }
  void Grant(TurnSeq seq) { Say(wire::Grant{seq, kLimit * 10, {}}); }

  // A thread of the app that asks for its turn.
  std::future<Ticket> Asks(DeviceId device) {
    return std::async(std::launch::async, [this, device] { return gate_.Enter(device, Now()); });
  }
  static Ticket Got(std::future<Ticket>& asked) {
    EXPECT_EQ(asked.wait_for(kLimit), std::future_status::ready) << "its owner sleeps on";
    return asked.get();
  }
  // Asks, is granted, holds.
  Ticket Hold(DeviceId device) {
    auto asked = Asks(device);
    Grant(Next<wire::Request>().seq);
    return Got(asked);
  }

  Gate gate_;
  UniqueFd daemon_;
};

TEST_F(GateTest, OneProcessHoldsATurnOnEachDevice) {
  Attach();
  const Ticket cpu = Hold(wire::kCpuDevice);
  const Ticket first = Hold(kFirst);
  const Ticket second = Hold(kSecond);
  EXPECT_NE(first.seq, second.seq);
  // Left on another thread than entered, in another order.
  gate_.Leave(first, FromMs(5));
  EXPECT_EQ(Next<wire::Release>().seq, first.seq);
  gate_.Leave(cpu, FromMs(5));
  EXPECT_EQ(Next<wire::Release>().seq, cpu.seq);
  gate_.Leave(second, FromMs(5));
  EXPECT_EQ(Next<wire::Release>().seq, second.seq);
  EXPECT_TRUE(Silent());
}

TEST_F(GateTest, AGrantThatAnotherThreadReadsReachesItsOwner) {
  Attach();
  for (int round = 0; round < 300; ++round) {
    auto reader = Asks(kFirst);
    const TurnSeq first = Next<wire::Request>().seq;
    auto other = Asks(kSecond);
    const TurnSeq second = Next<wire::Request>().seq;
    Ticket one;
    Ticket two;
    if (round % 2 == 0) {  // the reader reads what is not its own
      Grant(second);
      two = Got(other);
      Grant(first);
      one = Got(reader);
    } else {  // the reader leaves, and the other takes over
      Grant(first);
      one = Got(reader);
      Grant(second);
      two = Got(other);
    }
    ASSERT_EQ(one.seq, first);
    ASSERT_EQ(two.seq, second);
    gate_.Leave(one, FromMs(1));
    gate_.Leave(two, FromMs(1));
    Next<wire::Release>();
    Next<wire::Release>();
  }
}

TEST_F(GateTest, WhoComesWhileAGrantArrivesDoesNotTakeItAway) {
  Attach();
  for (int round = 0; round < 300; ++round) {
    auto waits = Asks(kFirst);
    const TurnSeq first = Next<wire::Request>().seq;
    auto comes = Asks(kSecond);
    Grant(first);
    const Ticket one = Got(waits);
    ASSERT_EQ(one.seq, first);
    Grant(Next<wire::Request>().seq);
    const Ticket two = Got(comes);
    ASSERT_NE(two.seq, TurnSeq{0});
    gate_.Leave(one, FromMs(1));
    gate_.Leave(two, FromMs(1));
    Next<wire::Release>();
    Next<wire::Release>();
  }
}

TEST_F(GateTest, ARateThatTheDaemonLowersIsKeptToo) {
  Attach();
  SlotClock clock;
  const Duration own = FromMs(1);
  gate_.AwaitSlot(&clock, own);
  Say(wire::Config{true, kLimit, FromMs(20), 0});
  const TimePoint from = Now();
  for (int i = 0; i < 20; ++i) gate_.AwaitSlot(&clock, own);
  EXPECT_GE(Now() - from, FromMs(18 * 20));
}

TEST_F(GateTest, WithADeviceToItselfABodyBeginsAtOnce) {
  Attach();
  gate_.Leave(Hold(kFirst), FromMs(1));
  Next<wire::Release>();
  Say(wire::Config{true, kLimit, {}, 0b10});
  const Ticket first = gate_.Enter(kFirst, Now());  // the test, as daemon, says nothing
  const auto request = Next<wire::Request>();
  EXPECT_TRUE(request.gated);
  EXPECT_TRUE(request.exclusive);
  EXPECT_EQ(request.seq, first.seq);
  EXPECT_EQ(gate_.Enter(kFirst, Now()).seq, first.seq) << "a second body joins";
  gate_.Leave(first, FromMs(5));
  EXPECT_TRUE(Silent());
  // Its lease is for the daemon to end.
  Say(wire::Expired{first.seq});
  auto anew = Asks(kFirst);
  const auto next = Next<wire::Request>();
  EXPECT_NE(next.seq, first.seq);
  EXPECT_TRUE(next.exclusive);
  EXPECT_EQ(Got(anew).seq, next.seq);
  gate_.Leave(first, FromMs(5));
  EXPECT_EQ(Next<wire::Release>().seq, first.seq);
  gate_.Leave({next.seq, kFirst, {}}, FromMs(5));
  Next<wire::Release>();

  auto other = Asks(kSecond);
  EXPECT_FALSE(Next<wire::Request>().exclusive);
  EXPECT_EQ(other.wait_for(std::chrono::milliseconds{1}), std::future_status::timeout);
  Grant({next.seq.value + 1});
  gate_.Leave(Got(other), FromMs(1));
  Next<wire::Release>();

  Say(wire::Config{true, kLimit, {}, 0});
  EXPECT_NE(Hold(kFirst).seq, TurnSeq{0}) << "others have come: it asks again";
}

TEST_F(GateTest, BodiesOfOneDeviceShareItsTurn) {
  Attach();
  const Ticket first = Hold(kFirst);
  const Ticket joined = gate_.Enter(kFirst, Now());
  EXPECT_EQ(joined.seq, first.seq);
  gate_.Leave(first, FromMs(1));
  EXPECT_TRUE(Silent()) << "one body still runs";
  gate_.Leave(joined, FromMs(1));
  EXPECT_EQ(Next<wire::Release>().seq, first.seq);
}

TEST_F(GateTest, WhoWaitsForTheSameDeviceGetsTheSameAnswer) {
  Attach();
  for (int round = 0; round < 100; ++round) {
    std::vector<std::future<Ticket>> asked;
    for (int i = 0; i < 4; ++i) asked.push_back(Asks(kFirst));
    const TurnSeq seq = Next<wire::Request>().seq;
    Grant(seq);
    // Bodies that waited and bodies that came later: all under one turn.
    std::map<TurnSeq, int> bodies;
    for (auto& each : asked) {
      const Ticket ticket = Got(each);
      ASSERT_EQ(ticket.seq, seq);
      ++bodies[ticket.seq];
    }
    ASSERT_EQ(bodies[seq], 4);
    for (int i = 0; i < 4; ++i) gate_.Leave({seq, kFirst, {}}, FromMs(1));
    ASSERT_EQ(Next<wire::Release>().seq, seq);
  }
}

TEST_F(GateTest, AnExpiredTurnIsGivenBackLateWhileTheNextOneRuns) {
  Attach();
  const Ticket late = Hold(kFirst);
  const Ticket elsewhere = Hold(kSecond);
  Say(wire::Expired{late.seq});
  const Ticket next = Hold(kFirst);
  EXPECT_NE(next.seq, late.seq);
  EXPECT_EQ(gate_.Enter(kSecond, Now()).seq, elsewhere.seq) << "the other device's turn goes on";
  gate_.Leave(late, FromMs(1));
  EXPECT_EQ(Next<wire::Release>().seq, late.seq);
  gate_.Leave(next, FromMs(1));
  EXPECT_EQ(Next<wire::Release>().seq, next.seq);
}

TEST_F(GateTest, AllHeldTurnsAreClaimedFromTheNextDaemonUnderItsNumbers) {
  Attach();
  const Ticket cpu = Hold(wire::kCpuDevice);
  const Ticket first = Hold(kFirst);
  const Ticket second = Hold(kSecond);
  gate_.Detach();
  EXPECT_FALSE(gate_.DeviceOf(Uuid(10)));
  Attach({{{1}, Uuid(30)}, {{2}, Uuid(20)}, {{3}, Uuid(10)}});
  std::map<TurnSeq, DeviceId> claimed;
  for (int i = 0; i < 3; ++i) {
    const auto claim = Next<wire::Claim>();
    claimed[claim.seq] = claim.device;
  }
  const std::map<TurnSeq, DeviceId> expected{
      {cpu.seq, wire::kCpuDevice}, {first.seq, {3}}, {second.seq, {2}}};
  EXPECT_EQ(claimed, expected);
  EXPECT_EQ(gate_.DeviceOf(Uuid(10)), kFirst);
  EXPECT_EQ(gate_.DeviceOf(Uuid(30)), DeviceId{3});
  gate_.Leave(second, FromMs(1));
  EXPECT_EQ(Next<wire::Release>().seq, second.seq);
}

TEST_F(GateTest, ADeviceTheDaemonDoesNotShareOutIsUncontrolled) {
  Attach();
  const Ticket held = Hold(kFirst);
  gate_.Detach();
  Attach({});
  EXPECT_FALSE(gate_.DeviceOf(Uuid(10)));
  EXPECT_EQ(gate_.Enter(kFirst, Now()).seq, TurnSeq{0});
  EXPECT_EQ(gate_.Enter(DeviceId{200}, Now()).seq, TurnSeq{0});
  gate_.Leave(held, FromMs(1));
  gate_.Leave({TurnSeq{77}, DeviceId{200}, {}}, FromMs(1));
  gate_.Ended(kFirst, FromMs(1), FromMs(2));
  EXPECT_TRUE(Silent());
}

TEST_F(GateTest, HowACallEndedThatWentOnIsToldWithTheNextRequest) {
  Attach({{{7}, Uuid(10)}});
  gate_.Leave(Hold(kFirst), Duration{0});
  EXPECT_EQ(Next<wire::Release>().call, Duration{0});
  gate_.Ended(kFirst, FromMs(3), FromMs(60));
  EXPECT_TRUE(Silent());
  auto asked = Asks(kFirst);
  const auto request = Next<wire::Request>();
  EXPECT_EQ(request.post, FromMs(3));
  EXPECT_EQ(request.call, FromMs(60));
  Grant(request.seq);
  gate_.Leave(Got(asked), FromMs(1));
  Next<wire::Release>();
  auto again = Asks(kFirst);
  const auto next = Next<wire::Request>();
  EXPECT_EQ(next.call, Duration{0}) << "told once";
  Grant(next.seq);
  Got(again);
}

TEST_F(GateTest, HowACallEndedIsToldByItselfWhenNoRequestComes) {
  Attach({{{7}, Uuid(10)}});
  gate_.Ended(kFirst, FromMs(3), FromMs(60));
  gate_.Ended(kFirst, FromMs(4), FromMs(70));
  EXPECT_EQ(Next<wire::Ended>(), (wire::Ended{{7}, FromMs(3), FromMs(60)})) << "one more came";
  const TimePoint until = Now() + kLimit;
  while (Silent() && Now() < until) gate_.AwaitHangup(1);
  EXPECT_LT(Now(), until) << "the last one is told by and by";
  EXPECT_TRUE(Silent());
}

TEST_F(GateTest, TheNextDaemonHearsNothingOfWhatEndedUnderTheLast) {
  Attach();
  gate_.Ended(kFirst, FromMs(3), FromMs(60));
  gate_.Detach();
  Attach();
  auto asked = Asks(kFirst);
  const auto request = Next<wire::Request>();
  EXPECT_EQ(request.call, Duration{0});
  Grant(request.seq);
  Got(asked);
}

TEST_F(GateTest, WhoWaitsRunsOnWhenTheDaemonGoes) {
  Attach();
  auto first = Asks(kFirst);
  Next<wire::Request>();
  auto second = Asks(kSecond);
  Next<wire::Request>();
  gate_.Detach();
  EXPECT_EQ(Got(first).seq, TurnSeq{0});
  EXPECT_EQ(Got(second).seq, TurnSeq{0});
  Attach();
  EXPECT_TRUE(Silent()) << "nothing is held, so nothing is claimed";
}

TEST_F(GateTest, NobodyWaitsLongerThanTheBound) {
  Attach(kTwoGpus, FromMs(30));
  auto first = Asks(kFirst);
  auto second = Asks(kSecond);
  EXPECT_EQ(Got(first).seq, TurnSeq{0});
  EXPECT_EQ(Got(second).seq, TurnSeq{0});
}

TEST_F(GateTest, ACallBeyondTheRateWaitsForItsSlot) {
  SlotClock clock;
  constexpr Duration kPeriod = std::chrono::milliseconds{20};
  // No daemon, no rate: else this would last for hours.
  for (int i = 0; i < 4; ++i) gate_.AwaitSlot(&clock, std::chrono::hours{1});
  Attach();
  const TimePoint first = Now();
  for (int i = 0; i < 20; ++i) gate_.AwaitSlot(&clock, kPeriod);
  EXPECT_GE(Now() - first, 16 * kPeriod) << "a few may come early";
  EXPECT_EQ(Next<wire::Exceeded>(), (wire::Exceeded{0, 1, false}));
}

TEST_F(GateTest, WhoWaitsForASlotGoesOnWhenTheDaemonGoes) {
  Attach();
  SlotClock clock;
  for (int i = 0; i < 2; ++i) gate_.AwaitSlot(&clock, std::chrono::hours{1});
  auto waits =
      std::async(std::launch::async, [&] { gate_.AwaitSlot(&clock, std::chrono::hours{1}); });
  EXPECT_EQ(waits.wait_for(std::chrono::milliseconds{20}), std::future_status::timeout);
  gate_.Detach();
  EXPECT_EQ(waits.wait_for(kLimit), std::future_status::ready);
}

// What waited for its slot is neither late nor long.
TEST_F(GateTest, TheTimeABodyWasPacedIsNotPartOfItsCall) {
  Attach();
  constexpr Duration kPeriod = std::chrono::seconds{1};
  for (int i = 0; i < 2; ++i) gate_.AwaitSlot(kFirst, kPeriod);
  const TimePoint before = Now();
  gate_.AwaitSlot(kFirst, kPeriod);
  const Duration paced = Now() - before;
  Next<wire::Exceeded>();  // it did wait
  const Ticket ticket = Hold(kFirst);
  gate_.AwaitSlot(kFirst, std::chrono::hours{1});  // holds its turn already: does not wait
  gate_.Leave(ticket, paced + FromMs(5));
  const Duration call = Next<wire::Release>().call;
  EXPECT_GE(call, FromMs(4));
  EXPECT_LT(call, paced);
}

TEST_F(GateTest, AnEarlyCallHasNoSlotUnderReuse) {
  SlotClock clock;
  EXPECT_EQ(gate_.TakeSlot(&clock), Gate::Slot::kNone);
  Attach(kTwoGpus, kLimit, std::chrono::hours{1});
  EXPECT_EQ(gate_.TakeSlot(&clock), Gate::Slot::kTaken);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(gate_.TakeSlot(&clock), Gate::Slot::kEarly);
    gate_.CountSkipped();
  }
  // The daemon changes its mind: heard at the next call, without a turn.
  Say(wire::Config{true, kLimit, Duration{1}});
  EXPECT_EQ(gate_.TakeSlot(&clock), Gate::Slot::kTaken);
  // Told after a second at most, and with the next call that runs.
  std::uint64_t skipped = 0;
  while (skipped < 3 && !HasFailure()) skipped += Next<wire::Exceeded>().skipped;
  EXPECT_EQ(skipped, 3U);
  EXPECT_TRUE(Silent());
  Say(wire::Config{true, kLimit, Duration{0}});
  EXPECT_EQ(gate_.TakeSlot(&clock), Gate::Slot::kNone);
  Say(wire::Config{false, kLimit, std::chrono::hours{1}});
  EXPECT_EQ(gate_.TakeSlot(&clock), Gate::Slot::kNone) << "policy off";
  gate_.RefuseReuse();
  EXPECT_EQ(Next<wire::Exceeded>(), (wire::Exceeded{0, 0, true}));
  gate_.Detach();
  EXPECT_EQ(gate_.TakeSlot(&clock), Gate::Slot::kNone);
}

TEST_F(GateTest, AForkedChildHoldsNothing) {
  Attach();
  const Ticket held = Hold(kFirst);
  gate_.BeforeFork();
  const pid_t child = fork();
  if (child == 0) {
    gate_.AfterForkInChild();
    const bool clean = !gate_.attached() && gate_.Enter(kFirst, Now()).seq == TurnSeq{0} &&
                       !gate_.DeviceOf(Uuid(10));
    gate_.Leave(held, FromMs(1));
    _exit(clean ? 0 : 1);
  }
  gate_.AfterForkInParent();
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(Silent()) << "the child must not give back what the parent holds";
  gate_.Leave(held, FromMs(1));
  EXPECT_EQ(Next<wire::Release>().seq, held.seq);
}

}  // namespace
}  // namespace stagger::agent
