#include "look/profile_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "console/table.h"

namespace stagger::cli {
namespace {

using testing::HasSubstr;

ProgramReport Camera(int inferences) {
  ProgramReport program;
  program.pid = 7;
  program.command = "camera --fast";
  program.onnx.emplace();
  program.cuda.emplace();
  program.cuda->state = "sure";
  program.cuda->reason = "each inference: 1 copy in";
  program.cuda->confidence = 0.94;
  for (int i = 0; i < inferences; ++i) {
    program.cuda->inferences.push_back({FromMs(10), FromMs(30), FromMs(60), FromMs(5), 1});
  }
  return program;
}

TEST(PhaseProfiles, GiveEachProgramThatInferredItsPhases) {
  ProgramReport idle;
  idle.onnx.emplace();
  const auto profiles = PhaseProfiles({idle, Camera(20), Camera(2)});
  ASSERT_EQ(profiles.size(), 2u);
  EXPECT_EQ(profiles[0].framework, "cuda");
  EXPECT_EQ(profiles[0].inferences, 20u);
  EXPECT_EQ(profiles[0].body.mean, FromMs(30));
  EXPECT_EQ(profiles[0].total.mean, FromMs(100)) << "waiting is none of it";
  EXPECT_EQ(profiles[0].waited.mean, FromMs(5));
  EXPECT_EQ(profiles[0].body.confidence, 1);
  EXPECT_EQ(profiles[1].body.confidence, 0) << "two say nothing yet";
}

TEST(PhaseProfiles, ReadAsATableWithTheDetectorsReason) {
  const PhaseProfile profile = PhaseProfiles({Camera(20)}).front();
  const std::string text = ToText(profile);
  EXPECT_THAT(text, HasSubstr("camera --fast (pid 7): CUDA, 20 inferences after warm-up\n"));
  EXPECT_THAT(text, HasSubstr("body         30.00   30.00  30.0 %        1.00\n"));
  EXPECT_THAT(text, HasSubstr("bodies: sure, confidence 0.94: each inference: 1 copy in\n"));
  EXPECT_THAT(text, Not(HasSubstr("the whole call")));
  const auto json = ToJson(profile);
  EXPECT_EQ(json["body_ms"]["mean"], 30);
  EXPECT_EQ(json["post_ratio"], 0.6);
  EXPECT_EQ(json["detector"]["state"], "sure");
}

TEST(PhaseProfiles, OfOnnxRuntimeSayThatTheWholeCallIsTheBody) {
  ProgramReport program;
  program.onnx.emplace();
  program.onnx->inferences.assign(9, {Duration{}, FromMs(8), Duration{}, FromMs(1), 1});
  const PhaseProfile profile = PhaseProfiles({program}).front();
  EXPECT_TRUE(profile.whole_call);
  EXPECT_THAT(ToText(profile), HasSubstr("the whole call is the body"));
  EXPECT_TRUE(ToJson(profile)["detector"].is_null());
}

TEST(Timeline, IsToScale) {
  EXPECT_EQ(Timeline(10, 30, 60, 20),
            "▒▒██████░░░░░░░░░░░░\n"
            "0           100.0 ms\n");
  EXPECT_EQ(Timeline(0, 10, 0, 40),
            "████████████████████████████████████████\n"
            "0                   5            10.0 ms\n");
  EXPECT_EQ(Timeline(0, 0, 0, 40), "");
}

TEST(Timeline, KeepsItsWidthForAnyPhases) {
  for (const double pre : {0.0, 0.01, 3.0, 70.0}) {
    for (const double body : {0.004, 1.0, 38.3, 1900.0}) {
      for (const double post : {0.0, 2.5, 35.4}) {
        const std::string text = Timeline(pre, body, post, 72);
        const std::size_t newline = text.find('\n');
        EXPECT_EQ(Width(text.substr(0, newline)), 72u) << pre << " " << body << " " << post;
        EXPECT_EQ(Width(text.substr(newline + 1)), 73u) << text;
      }
    }
  }
}

}  // namespace
}  // namespace stagger::cli
