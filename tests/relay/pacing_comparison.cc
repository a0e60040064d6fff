// Which frames pass, by the relay's Decimator and by GStreamer's videorate in three settings: the
// same stated times into each, without a clock and without waiting. Prints the table of
// docs/measurements/relay.md. Built on request:
//   cmake --build build --target pacing_comparison && build/tests/relay/pacing_comparison
#include <fmt/core.h>
#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "relay/decimator.h"

namespace stagger::relay {
namespace {

constexpr double kTenMinutesS = 600;
constexpr double kNsPerS = 1e9;
constexpr double kNtsc = 30000.0 / 1001;

struct Case {
  const char* name;
  double fps;         // to be left
  double source_fps;  // 0: it varies
  int rate_n;         // the source's rate as its caps state it; 0: they state none
  int rate_d;
  std::vector<std::int64_t> times_ns;
  bool steady = true;  // neither slower than asked for, nor with an outage or a jump
};

struct Passed {
  std::size_t number;   // of the frame in the source
  std::int64_t at_ns;   // the time that the frame carries when it goes on
  std::size_t decided;  // with which frame of the source it came out
};

std::vector<std::int64_t> Camera(double fps, double jitter_s) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> jitter(-jitter_s, jitter_s);
  std::vector<std::int64_t> times;
  for (std::int64_t n = 0; n < std::llround(fps * kTenMinutesS); ++n) {
    const double at_s = std::max(1 + static_cast<double>(n) / fps + jitter(random), 0.0);
    const std::int64_t at = std::llround(at_s * kNsPerS);
    times.push_back(times.empty() ? at : std::max(at, times.back()));
  }
  return times;
}

// Frames 10 to 90 ms apart.
std::vector<std::int64_t> Variable() {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> interval(0.010, 0.090);
  std::vector<std::int64_t> times;
  for (double at_s = 1; at_s < kTenMinutesS + 1; at_s += interval(random)) {
    times.push_back(std::llround(at_s * kNsPerS));
  }
  return times;
}

// From half of the ten minutes on all times are later, or earlier, by this much.
std::vector<std::int64_t> Shifted(std::vector<std::int64_t> times, double by_s) {
  for (std::size_t n = times.size() / 2; n < times.size(); ++n) {
    times[n] += std::llround(by_s * kNsPerS);
  }
  return times;
}

std::vector<Case> Cases() {
  const std::vector<std::int64_t> camera = Camera(30, 0);
  return {
      {"30 to 4", 4, 30, 30, 1, camera},
      {"30 to 4, jitter 8 ms", 4, 30, 30, 1, Camera(30, 0.008)},
      {"30 to 5, jitter 8 ms", 5, 30, 30, 1, Camera(30, 0.008)},
      {"30 to 7, jitter 8 ms", 7, 30, 30, 1, Camera(30, 0.008)},
      {"29.97 to 10, jitter 10 ms", 10, kNtsc, 30000, 1001, Camera(kNtsc, 0.010)},
      {"25 to 12.5", 12.5, 25, 25, 1, Camera(25, 0)},
      {"25 to 10, jitter 8 ms", 10, 25, 25, 1, Camera(25, 0.008)},
      {"30 to 30, jitter 8 ms", 30, 30, 30, 1, Camera(30, 0.008)},
      {"10 to 30, jitter 8 ms", 30, 10, 10, 1, Camera(10, 0.008), false},
      {"30 to 4, caps without a rate", 4, 30, 0, 1, camera},
      {"10 to 90 ms apart, to 4", 4, 0, 0, 1, Variable()},
      {"30 to 4, nothing for 9 s", 4, 30, 30, 1, Shifted(camera, 9), false},
      {"30 to 4, times jump 1 h on", 4, 30, 30, 1, Shifted(camera, 3600), false},
      {"30 to 4, times jump 100 s back", 4, 30, 30, 1, Shifted(camera, -100), false},
  };
}

std::vector<Passed> ByDecimator(const Case& c) {
  Decimator decimator(c.fps);
  std::vector<Passed> passed;
  for (std::size_t n = 0; n < c.times_ns.size(); ++n) {
    if (decimator.Take(TimePoint{Duration{c.times_ns[n]}})) passed.push_back({n, c.times_ns[n], n});
  }
  return passed;
}

void Drain(GstHarness* harness, std::size_t fed, std::vector<Passed>& passed) {
  while (GstBuffer* buffer = gst_harness_try_pull(harness)) {
    // What videorate makes up by repeating a frame is marked; no app is to see a frame twice.
    if (!GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_GAP)) {
      std::uint64_t number = 0;
      gst_buffer_extract(buffer, 0, &number, sizeof number);
      passed.push_back({number, static_cast<std::int64_t>(GST_BUFFER_PTS(buffer)), fed});
    }
    gst_buffer_unref(buffer);
  }
}

// Empty where videorate refuses the source.
std::vector<Passed> ByVideorate(const Case& c, const std::string& settings, bool caps_after) {
  gint fps_n = 0;
  gint fps_d = 1;
  gst_util_double_to_fraction(c.fps, &fps_n, &fps_d);
  const std::string launch =
      "videorate " + settings +
      (caps_after ? fmt::format(" ! capsfilter caps=video/x-raw,framerate={}/{}", fps_n, fps_d)
                  : fmt::format(" max-rate={}", std::max(1L, std::lround(c.fps))));
  GstHarness* harness = gst_harness_new_parse(launch.c_str());
  const std::string caps = fmt::format(
      "video/x-raw,format=GRAY8,width=16,height=16,framerate={}/{}", c.rate_n, c.rate_d);
  gst_harness_set_src_caps_str(harness, caps.c_str());
  std::vector<Passed> passed;
  for (std::size_t n = 0; n < c.times_ns.size(); ++n) {
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, 256, nullptr);
    const std::uint64_t number = n;
    gst_buffer_fill(buffer, 0, &number, sizeof number);
    GST_BUFFER_PTS(buffer) = static_cast<GstClockTime>(c.times_ns[n]);
    if (c.rate_n > 0) {
      GST_BUFFER_DURATION(buffer) = gst_util_uint64_scale(
          GST_SECOND, static_cast<guint64>(c.rate_d), static_cast<guint64>(c.rate_n));
    }
    if (gst_harness_push(harness, buffer) != GST_FLOW_OK) break;
    Drain(harness, n, passed);
  }
  gst_harness_teardown(harness);
  return passed;
}

// The most frames that went on in any second, by when they came, which no jump of the times moves.
std::size_t MostInASecond(const Case& c, const std::vector<Passed>& passed) {
  const auto second = static_cast<std::size_t>(std::ceil(c.source_fps));
  std::size_t most = 0;
  std::size_t first = 0;
  for (std::size_t n = 0; n < passed.size(); ++n) {
    while (passed[n].decided - passed[first].decided >= second) ++first;
    most = std::max(most, n - first + 1);
  }
  return most;
}

// How far apart the frames' places in the row lie from even ones: latest less earliest.
double SpreadMs(const Case& c, const std::vector<Passed>& passed) {
  double earliest = 1e18;
  double latest = -1e18;
  for (std::size_t n = 0; n < passed.size(); ++n) {
    const double at_ms = static_cast<double>(c.times_ns[passed[n].number]) / 1e6;
    const double off_ms = at_ms - static_cast<double>(n) * 1000 / c.fps;
    earliest = std::min(earliest, off_ms);
    latest = std::max(latest, off_ms);
  }
  return latest - earliest;
}

void Print(const Case& c, const char* who, const std::vector<Passed>& passed) {
  fmt::print("{:31} {:20} ", c.name, who);
  if (passed.empty()) {
    fmt::print("refused\n");
    return;
  }
  double held_ms = 0;
  double moved_ms = 0;
  std::size_t longest = 0;  // frames of the source without one that went on
  for (std::size_t n = 0; n < passed.size(); ++n) {
    const Passed& p = passed[n];
    const std::int64_t own_ns = c.times_ns[p.number];
    held_ms = std::max(held_ms, static_cast<double>(c.times_ns[p.decided] - own_ns) / 1e6);
    moved_ms = std::max(moved_ms, std::abs(static_cast<double>(p.at_ns - own_ns)) / 1e6);
    const std::size_t next = n + 1 < passed.size() ? passed[n + 1].number : c.times_ns.size();
    longest = std::max(longest, next - p.number);
  }
  fmt::print("{:6} {:>9} {:>7} {:>6} {:7.0f} {:8.0f}\n", passed.size(),
             c.steady ? fmt::format("{:.0f}", SpreadMs(c, passed)) : "-", longest,
             c.source_fps > 0 ? std::to_string(MostInASecond(c, passed)) : "-", held_ms, moved_ms);
}

// videorate ends the process at some sources: each row is made by a process of its own.
void Row(const Case& c, const char* who, const std::function<std::vector<Passed>()>& pass) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(1);
    Print(c, who, pass());
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    fmt::print("{:31} {:20} ended by signal {}\n", c.name, who, WTERMSIG(status));
  }
}

struct Setting {
  const char* name;
  const char* properties;
  bool caps_after;  // the rate as caps behind it; else as its max-rate
};

constexpr Setting kSettings[] = {
    {"drop-only, caps", "drop-only=true skip-to-first=true", true},
    {"drop-only, max-rate", "drop-only=true skip-to-first=true", false},
    {"repeats left out", "skip-to-first=true", true},
};

void Compare() {
  fmt::print("{:31} {:20} {:>6} {:>9} {:>7} {:>6} {:>7} {:>8}\n", "ten minutes of", "by", "out",
             "spread ms", "longest", "most/s", "held ms", "moved ms");
  for (const Case& c : Cases()) {
    Row(c, "Decimator", [&] { return ByDecimator(c); });
    for (const Setting& s : kSettings) {
      Row(c, s.name, [&] { return ByVideorate(c, s.properties, s.caps_after); });
    }
  }
}

}  // namespace
}  // namespace stagger::relay

int main() {
  gst_init(nullptr, nullptr);
  g_set_print_handler([](const gchar*) {});  // what GLib says as it ends a process
  stagger::relay::Compare();
  return 0;
}
