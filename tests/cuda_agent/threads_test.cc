// The CUDA agent's own code under an app of several threads. It has most to say in a build with
// ThreadSanitizer.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "cuda_agent/capture.h"
#include "cuda_agent/devices.h"
#include "cuda_agent/turn_keeper.h"
#include "fake_driver.h"

namespace stagger::cuda_agent {
namespace {

constexpr int kThreads = 4;
constexpr int kGpus = 2;

CUstream StreamOf(int thread, int number = 0) {
  return reinterpret_cast<CUstream>(static_cast<std::uintptr_t>(0x100 + 16 * thread + number));
}

Facts OnStream(CUstream stream, std::uint64_t value = 0) {
  Facts facts;
  facts.stream = stream;
  facts.has_stream = true;
  facts.Mix(value);
  facts.Finish();
  return facts;
}

void Call(cuda::CallKind kind, const Facts& facts) {
  TurnKeeper& keeper = TurnKeeper::Get();
  const TurnKeeper::CallToken token = keeper.Before(kind, false, false, facts);
  if (token.needs_after) keeper.After(token);
}

void Launches(int count, CUstream stream) {
  for (int i = 0; i < count; ++i)
    Call(cuda::CallKind::kLaunch, OnStream(stream, static_cast<std::uint64_t>(i % 10)));
}

void Wait(CUstream stream) {
  TurnKeeper& keeper = TurnKeeper::Get();
  const TurnKeeper::CallToken token =
      keeper.Before(cuda::CallKind::kSync, false, true, OnStream(stream));
  // The device's time: at least what makes a body worth a turn.
  usleep(300);
  if (token.needs_after) keeper.After(token);
}

// Large copy in, launches on two streams, wait.
void Infer(int thread) {
  Facts image = OnStream(StreamOf(thread));
  image.bytes = 1'000'000;
  Call(cuda::CallKind::kCopyHtoD, image);
  Launches(20, StreamOf(thread));
  Launches(5, StreamOf(thread, 1));
  Wait(StreamOf(thread));
}

template <typename Do>
void InThreads(Do what) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([i, what] {
      fake::UseContext(i % kGpus);
      what(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// The body watch gives turns back as soon as it runs; nothing tells of it here.
void AwaitAllBack() {
  for (int i = 0; i < 60'000 && fake::turns_back + fake::wrong_turns < fake::turns_given; ++i)
    usleep(1000);
}

// Spins without any order between the threads that a race could hide behind.
std::atomic<int> arrived{0};
void MeetOthers() {
  arrived.fetch_add(1, std::memory_order_relaxed);
  while (arrived.load(std::memory_order_relaxed) < kThreads) {
  }
}

TEST(CudaAgentThreads, FourOfThemFindTheirTwoGpusAtOnce) {
  fake::Install();
  ForgetDevices();
  arrived = 0;
  fake::before_number = &MeetOthers;
  InThreads([](int thread) {
    EXPECT_EQ(CurrentDevice(), thread % kGpus);
    EXPECT_EQ(CurrentDevice(), thread % kGpus);
  });
  fake::before_number = nullptr;
}

TEST(CudaAgentThreads, FourOfThemOverTwoGpusGiveEveryTurnBackOnce) {
  fake::Install();
  const int before = fake::turns_given;
  InThreads([](int thread) {
    for (int i = 0; i < 40; ++i) Infer(thread);
    // Queries that are a wait, and a label, end bodies, too.
    for (int i = 0; i < 10; ++i) {
      Launches(20, StreamOf(thread));
      for (int query = 0; query < 5; ++query) {
        TurnKeeper& keeper = TurnKeeper::Get();
        const phase::BodyId ended = keeper.BeforeQuery(7);
        keeper.AfterQuery(ended, query < 4 ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS);
      }
      fake::framework_call(true);
      Infer(thread);
      fake::framework_call(false);
    }
  });
  AwaitAllBack();
  EXPECT_GE(fake::turns_given - before, kThreads);
  EXPECT_EQ(fake::turns_back, fake::turns_given);
  EXPECT_EQ(fake::wrong_turns, 0);
}

TEST(CudaAgentThreads, NothingIsRecordedOnAStreamThatCaptures) {
  fake::Install();
  fake::UseContext(0);
  for (int i = 0; i < 40; ++i) Infer(9);
  AwaitAllBack();
  const int given = fake::turns_given;
  fake::framework_call(true);
  Launches(20, StreamOf(9));
  ASSERT_EQ(fake::turns_given, given + 1);
  fake::capturing = StreamOf(9);
  Captures::Began();
  const int recorded = fake::events_recorded;
  fake::framework_call(false);
  EXPECT_EQ(fake::turns_back, fake::turns_given);
  EXPECT_EQ(fake::events_recorded, recorded);
  Captures::Ended();
  fake::capturing = nullptr;
}

}  // namespace
}  // namespace stagger::cuda_agent
