#include "executor/shared_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace stagger::executor {
namespace {

constexpr std::uint64_t kPage = 4096;

TEST(Arena, CountsAgainstTheBudgetAndGivesBack) {
  Budget budget{.limit = 10 * kPage, .taken = 0};
  {
    auto arena = Arena::Make(100 * kPage, 100 * kPage, &budget);
    ASSERT_TRUE(arena);
    EXPECT_TRUE(arena->ReserveInput(3 * kPage));
    EXPECT_TRUE(arena->ReserveInput(1)) << "is there already";
    EXPECT_TRUE(arena->ReserveOutput(5 * kPage));
    EXPECT_EQ(budget.taken, 8 * kPage);
    EXPECT_FALSE(arena->ReserveInput(6 * kPage));
    EXPECT_EQ(arena->input_reserved(), 3 * kPage) << "nothing changed";
    EXPECT_FALSE(arena->ReserveOutput(101 * kPage)) << "beyond the region";
    arena->output()[5 * kPage - 1] = std::byte{1};
    auto moved = std::move(*arena);
    EXPECT_EQ(budget.taken, 8 * kPage);
  }
  EXPECT_EQ(budget.taken, 0U);
}

TEST(Arena, NobodyCanChangeItsSize) {
  Budget budget{.limit = 10 * kPage, .taken = 0};
  const auto arena = Arena::Make(kPage, kPage, &budget);
  ASSERT_TRUE(arena);
  EXPECT_NE(ftruncate(arena->fd(), 0), 0);
  EXPECT_NE(ftruncate(arena->fd(), 100 * kPage), 0);
}

TEST(SealedFile, HoldsItsContentForGood) {
  const std::string text = "a model";
  const auto file = SealedFile("test", std::as_bytes(std::span(text)));
  ASSERT_TRUE(file);
  EXPECT_EQ(*SizeOfSealed(file->get()), text.size());
  EXPECT_LT(pwrite(file->get(), "x", 1, 0), 0);
  const auto mapping = MapShared(file->get(), text.size(), false);
  ASSERT_TRUE(mapping);
  EXPECT_EQ(std::memcmp(mapping->data(), text.data(), text.size()), 0);
}

TEST(SealedFile, OneThatCouldStillShrinkIsRefused) {
  const UniqueFd open(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(write(open.get(), "x", 1), 1);
  EXPECT_FALSE(SizeOfSealed(open.get()));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  EXPECT_FALSE(SizeOfSealed(read_end.get())) << "no file at all";
}

}  // namespace
}  // namespace stagger::executor
