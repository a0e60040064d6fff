// Recordings in golden/: the engine must do today what it did then. A change on purpose is recorded
// anew (golden/README.md says how) and seen in the diff.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "record/recording.h"

namespace stagger::record {
namespace {

std::vector<std::filesystem::path> Recordings() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(GOLDEN_FOLDER)) {
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  }
  return files;
}

class Golden : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Golden, ReplaysTheSame) {
  std::ifstream file(GetParam(), std::ios::binary);
  const Result<Recording> recording =
      Parse({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  ASSERT_TRUE(recording) << recording.error().message;
  EXPECT_FALSE(recording->cut_off);
  const Result<Replayed> replayed = Replay(*recording);
  ASSERT_TRUE(replayed) << replayed.error().message;
  EXPECT_GT(replayed->actions, 10u);
  if (const auto& difference = replayed->first_difference) {
    FAIL() << "step " << difference->step + 1 << "\nrecorded " << difference->recorded
           << "\nreplayed " << difference->replayed;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Golden, testing::ValuesIn(Recordings()),
                         [](const auto& golden) { return golden.param.stem().string(); });

}  // namespace
}  // namespace stagger::record
