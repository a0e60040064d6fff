#include "cli/why_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "documents/json.h"

namespace stagger::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json Phase(double mean, double p99) { return {{"mean", mean}, {"p99", p99}, {"confidence", 0.9}}; }

// What a daemon answers of a stream that waits behind two others and keeps its rate.
json Contended() {
  const json stream = {{"name", "gate"},
                       {"pid", 12},
                       {"command", "camera --at gate"},
                       {"fps_required", 10.0},
                       {"fps_assigned", 10.0},
                       {"fps", 9.9},
                       {"deadline_ms", 100.0},
                       {"weight", 2.0},
                       {"deadline_miss_ratio", 0.021},
                       {"missed", 3},
                       {"verdict", "fits"},
                       {"wait_ms", {{"mean", 12.0}, {"p99", 41.0}}},
                       {"body_ms", {{"mean", 8.0}, {"p99", 9.0}}},
                       {"inference_ms", {{"mean", 20.0}, {"p99", 50.0}}},
                       {"profile", {{"body_ms", Phase(8, 9)}, {"occupancy", nullptr}}},
                       {"device", "cpu:0"},
                       {"state", "idle"},
                       {"attached_s", 32.0},
                       {"expired", 0},
                       {"warmup", 2},
                       {"ungated", 0},
                       {"cancelled", 0},
                       {"claimed", 0},
                       {"fault", nullptr}};
  const json device = {{"name", "cpu:0"},
                       {"kind", "cpu"},
                       {"concurrency", 1},
                       {"load_ratio", 0.62},
                       {"overloaded", false},
                       {"running", json::array()},
                       {"waiting", json::array()},
                       {"problem", nullptr},
                       {"admission",
                        {{"admitted", true},
                         {"utilisation_ratio", 0.7},
                         {"headroom", {{"like", "hall"}, {"fps", 4.5}}}}}};
  const json waits = {
      {"count", 64},
      {"accounted", 64},
      {"overtaken", 0},
      {"time_ms", 800.0},
      {"deferred_ms", 0.0},
      {"queued_ms", 800.0},
      {"behind",
       {{{"stream", "hall"}, {"time_ms", 480.0}}, {{"stream", "yard"}, {"time_ms", 240.0}}}},
      {"behind_gone_ms", 0.0},
      {"nobody_ms", 80.0},
      {"longest", {{"ago_s", 3.0}, {"wait_ms", 41.0}}},
      {"reasons",
       {{{"reason", "another body ended"}, {"count", 50}},
        {{"reason", "a turn was free"}, {"count", 14}}}},
      {"recent",
       {{{"ago_s", 0.05},
         {"wait_ms", 12.5},
         {"deferred_ms", 0.0},
         {"reason", "another body ended"}}}}};
  return {{"policy", {{"name", "fifo"}, {"concurrency", 1}, {"demand_limit", nullptr}}},
          {"admission", "warn"},
          {"mps", {{"mode", "off"}, {"state", "off"}}},
          {"streams",
           {{{"stream", stream},
             {"device", device},
             {"rivals",
              {{{"name", "hall"}, {"weight", 1.0}, {"fps_required", 5.0}},
               {{"name", "yard"}, {"weight", 4.0}, {"fps_required", 5.0}}}},
             {"rate", {{"min_fps", 4.0}, {"cap_fps", nullptr}, {"lowered_s", nullptr}}},
             {"lease_ms", 250.0},
             {"wait_bound_ms", 1200.0},
             {"waits", waits},
             {"incidents", json::array()},
             {"faults", json::array()}}}}};
}

json& One(json& answer) { return answer["streams"][0]; }

// On one line, so that it does not matter where lines are broken.
std::string Said(const json& answer) {
  std::istringstream words(WhyText(documents::Read<documents::Why>(answer)));
  std::string text;
  for (std::string word; words >> word;) text += (text.empty() ? "" : " ") + word;
  return text;
}

TEST(Why, NamesThoseItWaitsBehind) {
  const std::string said = Said(Contended());
  EXPECT_THAT(said, HasSubstr("gate: pid 12, camera --at gate here for 32 s, idle on cpu:0"));
  EXPECT_THAT(said, HasSubstr("It needs 10 fps and gets 9.9. 2.1 % of its inferences took longer "
                              "than the 100 ms they may take."));
  EXPECT_THAT(said, HasSubstr("3 inferences that its rate asks for have not been done"));
  EXPECT_THAT(said, HasSubstr("Its rate is not lowered: streams with a stated rate ask for 62 % of "
                              "what cpu:0 can do."));
  EXPECT_THAT(said, HasSubstr("Policy fifo: 1 body at once on cpu:0, and the first request"));
  EXPECT_THAT(said, HasSubstr("Its last 64 turns waited 800 ms in all: 60 % behind bodies of hall, "
                              "30 % behind bodies of yard and 10 % while nobody's body ran."));
  EXPECT_THAT(said, HasSubstr("50 x another body ended and 14 x a turn was free."));
  EXPECT_THAT(said, HasSubstr("The longest wait was 41.0 ms, 3.0 s ago."));
  EXPECT_THAT(said, HasSubstr("0.05 12.5 0.0 another body ended"));
  EXPECT_THAT(said, HasSubstr("one more like hall would fit at 4.5 fps"));
  EXPECT_THAT(said, HasSubstr("2 inferences were let through to warm up."));
  EXPECT_THAT(said, Not(HasSubstr("leases")));
  EXPECT_THAT(said, Not(HasSubstr("gpu")));
}

TEST(Why, SaysWhyARateIsLowered) {
  json answer = Contended();
  One(answer)["stream"]["fps_assigned"] = 6.2;
  One(answer)["device"]["load_ratio"] = 1.4;
  One(answer)["device"]["overloaded"] = true;
  One(answer)["rate"]["lowered_s"] = 3.0;
  EXPECT_THAT(Said(answer),
              HasSubstr("Its rate is lowered to 6.2 of 10 fps, for 3.0 s now, because streams with "
                        "a stated rate ask for 140 % of what cpu:0 can do. It weighs 2, the others "
                        "1 to 4: more weight gives up less. It never goes below its min_fps of "
                        "4. A call that comes before its next slot is held back in the app."));
  One(answer)["rate"]["cap_fps"] = 6.2;
  EXPECT_THAT(Said(answer), HasSubstr("Strict admission holds it at 6.2 fps"));
  One(answer)["rate"]["cap_fps"] = nullptr;
  One(answer)["stream"]["fps_assigned"] = 10.0;
  EXPECT_THAT(Said(answer), HasSubstr("cpu:0 is overloaded (streams with a stated rate ask for 140 "
                                      "% of what cpu:0 can do), but this stream's rate is kept."));
  One(answer)["waits"]["deferred_ms"] = 400.0;
  EXPECT_THAT(Said(answer), HasSubstr("50 % held back by its lowered rate"));
}

TEST(Why, TellsAnAppThatAsksLessOftenFromOneThatCannotKeepUp) {
  json answer = Contended();
  One(answer)["stream"]["fps"] = 5.0;
  EXPECT_THAT(Said(answer), HasSubstr("an inference takes 20.0 ms of the 100 ms between two frames,"
                                      " so the app itself asks less often"));
  One(answer)["stream"]["inference_ms"]["mean"] = 180.0;
  One(answer)["stream"]["wait_ms"]["mean"] = 170.0;
  EXPECT_THAT(Said(answer), HasSubstr("An inference takes 180 ms, 170 ms of it waiting"));
}

TEST(Why, SaysWhereItStandsNow) {
  json answer = Contended();
  One(answer)["device"]["waiting"] = {{{"stream", "yard"}, {"for_ms", 9.0}},
                                      {{"stream", "gate"}, {"for_ms", 5.0}}};
  One(answer)["device"]["running"] = {{{"stream", "hall"}, {"for_ms", 30.0}}};
  EXPECT_THAT(Said(answer), HasSubstr("Just now it has waited 5.0 ms and is number 2 of 2; there "
                                      "run hall (for 30.0 ms)."));
}

TEST(Why, SaysWhatWentWrong) {
  json answer = Contended();
  One(answer)["stream"]["expired"] = 2;
  One(answer)["stream"]["cancelled"] = 1;
  One(answer)["stream"]["ungated"] = 5;
  One(answer)["stream"]["exclusive"] = 7;
  One(answer)["stream"]["verdict"] = "too long";
  One(answer)["incidents"] = {{{"kind", "gave up waiting"}, {"ago_s", 2.0}, {"after_ms", 1200.0}},
                              {{"kind", "lease ended"}, {"ago_s", 9.0}, {"after_ms", 250.0}}};
  const std::string said = Said(answer);
  EXPECT_THAT(said, HasSubstr("2 leases ended before the body did, the last 9.0 s ago, after 250 "
                              "ms: others ran beside the rest of it."));
  EXPECT_THAT(said, HasSubstr("1 wait was given up, the last 2.0 s ago, after 1.2 s (the bound is "
                              "1.2 s now); the body ran uncontrolled."));
  EXPECT_THAT(said, HasSubstr("7 turns of "));
  EXPECT_THAT(said, HasSubstr(" began at once: no other stream used the device."));
  EXPECT_THAT(said, HasSubstr("4 inferences ran without asking: the policy was off"));
  EXPECT_THAT(said, HasSubstr("When it was judged it did not fit: too long."));
}

TEST(Why, SaysWhatBindsWhereNotAllFit) {
  json answer = Contended();
  One(answer)["device"]["admission"] = {{"admitted", false},
                                        {"utilisation_ratio", 1.2},
                                        {"reason", "bodies take more than all of it"},
                                        {"binding_stream", "yard"},
                                        {"interval_ms", 90.0},
                                        {"nearest_fit", {{"stream", "yard"}, {"fps", 2.5}}}};
  EXPECT_THAT(Said(answer), HasSubstr("do not all fit (120 % of it): bodies take more than all of "
                                      "it. What binds is the deadline of yard, 90.0 ms into a busy "
                                      "time. They would fit with yard at 2.5 fps."));
}

TEST(Why, KnowsWhereItWasPutAndWhatForwardsIt) {
  json answer = Contended();
  json& stream = One(answer)["stream"];
  stream["placement"] = {{"devices", {"a", "b"}}, {"reason", "it is split"}, {"moves", 2}};
  stream["on"] = {"executor-cpu:0"};
  stream["assigned_to"] = {"executor-cpu:1"};
  stream["assigned_why"] = "it fits there";
  EXPECT_THAT(Said(answer), HasSubstr("Its inferences run in executor-cpu:0, which asks for no "
                                      "turns: it has its part of a device to itself."));
  One(answer)["on_streams"] = {"executor-cpu:0"};
  const std::string said = Said(answer);
  EXPECT_THAT(said, HasSubstr("The plan puts it on a and b: it is split; it has moved 2 times."));
  EXPECT_THAT(said, HasSubstr("Its inferences run in executor-cpu:0; what they wait for there, "
                              "'stagger why executor-cpu:0' says."));
  EXPECT_THAT(said, HasSubstr("They are to run in executor-cpu:1: it fits there; it has not "
                              "followed yet."));
  stream["serves"] = "/run/e0";
  One(answer)["served"] = {"hall", "yard"};
  EXPECT_THAT(Said(answer),
              HasSubstr("It is the executor at /run/e0 and runs the inferences of hall "
                        "and yard."));
}

TEST(Why, SaysWhatItsGpuDid) {
  json answer = Contended();
  One(answer)["stream"]["fault"] = "illegal address";
  One(answer)["device"]["kind"] = "gpu";
  One(answer)["device"]["name"] = "gpu:0";
  One(answer)["device"]["problem"] = "its compute mode is prohibited";
  One(answer)["faults"] = {{{"device", "gpu:0"}, {"for_s", 12.0}, {"culprit", "hall"}}};
  answer["mps"] = {{"mode", "auto"}, {"state", "down"}, {"reason", "it ended"}};
  const std::string said = Said(answer);
  EXPECT_THAT(said, HasSubstr("Its GPU failed under it (illegal address)"));
  EXPECT_THAT(said, HasSubstr("A fault 12 s ago on gpu:0 broke it; the culprit was hall."));
  EXPECT_THAT(said, HasSubstr("gpu:0: its compute mode is prohibited."));
  EXPECT_THAT(said, HasSubstr("MPS is down (it ended)"));
}

TEST(Why, PassesOverWhatIsNotKnown) {
  const json bare = {{"streams", {{{"stream", {{"name", "new"}}}}}}};
  EXPECT_THAT(Said(bare), HasSubstr("It has not asked for a turn yet."));
  EXPECT_EQ(WhyText(documents::Why()), "");
}

TEST(Why, BreaksLinesAtAHundredColumns) {
  std::istringstream lines(WhyText(documents::Read<documents::Why>(Contended())));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

}  // namespace
}  // namespace stagger::cli
