#include "options.h"

#include <gtest/gtest.h>

namespace camera_detector {
namespace {

Options Parse(std::vector<std::string> arguments) {
  return ParseCommandLine(std::move(arguments)).options;
}

std::string Complaint(std::vector<std::string> arguments) {
  try {
    ParseCommandLine(std::move(arguments));
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Options, DefaultsNameAClipAndAModel) {
  const Options o = Parse({});
  EXPECT_FALSE(o.source.empty());
  EXPECT_FALSE(o.model.empty());
  EXPECT_FALSE(o.fps.has_value());
  EXPECT_FALSE(o.threads.has_value());
  EXPECT_FALSE(o.http_port.has_value());
  EXPECT_EQ(o.preload, 0);
  EXPECT_EQ(o.stride, 1);
  EXPECT_EQ(o.warmup, 2);
}

TEST(Options, ReadsWhatIsGiven) {
  const Options o = Parse({"--source", "a.avi", "--fps", "7.5", "--every-frame", "--tuned",
                           "--threads", "0", "--http=0", "--preload=30", "--frames", "5"});
  EXPECT_EQ(o.source, "a.avi");
  EXPECT_DOUBLE_EQ(o.fps.value(), 7.5);
  EXPECT_TRUE(o.every_frame);
  EXPECT_TRUE(o.tuned);
  EXPECT_EQ(o.threads.value(), 0);
  EXPECT_EQ(o.http_port.value(), 0);
  EXPECT_EQ(o.preload, 30);
  EXPECT_EQ(o.frames.value(), 5);
}

TEST(Options, PreloadNeedsNoNumber) { EXPECT_EQ(Parse({"--preload"}).preload, 200); }

TEST(Options, ComplaintsNameFlagValueAndExpectation) {
  for (const std::string value : {"0", "-1", "nan", "inf", "ten", "10x", ""}) {
    const std::string complaint = Complaint({"--fps", value});
    EXPECT_NE(complaint.find("--fps"), std::string::npos) << value;
    EXPECT_NE(complaint.find("'" + value + "'"), std::string::npos) << complaint;
    EXPECT_NE(complaint.find("expected frames per second"), std::string::npos) << complaint;
  }
  EXPECT_NE(Complaint({"--http", "65536"}).find("expected a port"), std::string::npos);
  EXPECT_NE(Complaint({"--stride", "0"}).find("--stride"), std::string::npos);
  EXPECT_NE(Complaint({"--threads", "1.5"}).find("--threads"), std::string::npos);
}

TEST(Options, ComplaintsAreOneLine) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--colour"}, {"stray"}, {"--fps"}, {"--fps", "0"}, {"--fps", "1", "--fps", "2"}}) {
    const std::string complaint = Complaint(arguments);
    EXPECT_FALSE(complaint.empty());
    EXPECT_EQ(complaint.find('\n'), std::string::npos) << complaint;
  }
}

TEST(Options, LiveSourcesCannotBePacedOrPreloaded) {
  EXPECT_TRUE(IsLiveSource("rtsp://gate/1"));
  EXPECT_TRUE(IsLiveSource("/dev/video0"));
  EXPECT_FALSE(IsLiveSource("clips/gate.avi"));
  EXPECT_NE(Complaint({"--source", "rtsp://gate/1", "--every-frame"}), "");
  EXPECT_NE(Complaint({"--source", "rtsp://gate/1", "--offset", "2"}), "");
  EXPECT_NE(Complaint({"--source", "/dev/video0", "--preload"}), "");
  EXPECT_EQ(Complaint({"--source", "/dev/video0", "--fps", "15"}), "");
}

TEST(Options, HelpIsNotAComplaint) { EXPECT_FALSE(ParseCommandLine({"--help"}).help.empty()); }

}  // namespace
}  // namespace camera_detector
