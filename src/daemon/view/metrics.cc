#include "daemon/view/metrics.h"

#include <fmt/format.h>

#include <algorithm>

namespace stagger::daemon {

namespace {

using documents::Number;

std::string Escaped(const std::string& label) {
  std::string out;
  for (const char c : label) {
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

void Family(std::string* out, const std::string& name, const char* type, const char* help) {
  *out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

// One sample per device or stream; those without a value are left out.
template <typename Thing, typename Value>
void Each(std::string* out, const std::string& name, const char* type, const char* help,
          const std::vector<Thing>& things, const Value& value) {
  Family(out, name, type, help);
  const char* label = std::is_same_v<Thing, documents::Device> ? "device" : "stream";
  for (const Thing& thing : things) {
    const Number sample = value(thing);
    if (!sample) continue;
    *out += fmt::format("{}{{{}=\"{}\"}} {}\n", name, label, Escaped(thing.name), *sample);
  }
}

void Quantiles(std::string* out, const std::string& name, const char* help,
               documents::Summary documents::Stream::*summary,
               const std::vector<documents::Stream>& streams) {
  Family(out, name, "summary", help);
  for (const documents::Stream& stream : streams) {
    const documents::Summary& of = stream.*summary;
    if (!of.p50 || !of.p99) continue;
    const std::string label = Escaped(stream.name);
    *out += fmt::format(
        "{0}{{stream=\"{1}\",quantile=\"0.5\"}} {2}\n"
        "{0}{{stream=\"{1}\",quantile=\"0.99\"}} {3}\n",
        name, label, *of.p50 / 1000, *of.p99 / 1000);
  }
}

void DeviceMetrics(std::string* out, const std::vector<documents::Device>& devices) {
  using Device = documents::Device;
  const auto bytes = [](const Number& gb) { return gb ? Number(*gb * 1e9) : std::nullopt; };
  Each(out, "stagger_turns_total", "counter", "Bodies that ran on a device.", devices,
       [](const Device& d) { return d.turns; });
  Each(out, "stagger_body_seconds_total", "counter", "Time that bodies ran, summed over them.",
       devices, [](const Device& d) { return d.body_time_ms / 1000; });
  Each(out, "stagger_busy_seconds_total", "counter", "Time during which at least one body ran.",
       devices, [](const Device& d) { return d.busy_time_ms / 1000; });
  Each(out, "stagger_overlap_ratio", "gauge", "Share of body time with more than k bodies.",
       devices, [](const Device& d) { return d.overlap_ratio; });
  Each(out, "stagger_running", "gauge", "Bodies running now.", devices,
       [](const Device& d) { return d.running.size(); });
  Each(out, "stagger_waiting", "gauge", "Bodies waiting for their turn now.", devices,
       [](const Device& d) { return d.waiting.size(); });
  Each(out, "stagger_gpu_utilisation_ratio", "gauge",
       "Share of time with a kernel running, as the driver tells.", devices,
       [](const Device& d) { return d.gpu_utilisation_ratio; });
  Each(out, "stagger_gpu_memory_used_bytes", "gauge", "Memory in use, by all processes.", devices,
       [&](const Device& d) { return bytes(d.memory_used_gb); });
  Each(out, "stagger_gpu_memory_bytes", "gauge", "Memory that the GPU has.", devices,
       [&](const Device& d) { return bytes(d.memory_gb); });
  Each(out, "stagger_gpu_faults_total", "counter",
       "Faults of a GPU that broke apps, since the daemon's start.", devices,
       [](const Device& d) { return d.kind == "gpu" ? Number(d.faults) : std::nullopt; });
}

void StreamMetrics(std::string* out, const std::vector<documents::Stream>& streams) {
  using Stream = documents::Stream;
  for (const core::StreamCounter& counter : core::kStreamCounters) {
    if (counter.help == nullptr) continue;
    Each(out, fmt::format("stagger_stream_{}_total", counter.key), "counter", counter.help, streams,
         [&](const Stream& s) { return s.counters.*counter.value; });
  }
  Each(out, "stagger_stream_fps", "gauge", "Inferences per second, lately.", streams,
       [](const Stream& s) { return s.fps; });
  Each(out, "stagger_stream_required_fps", "gauge", "Inferences per second that are required.",
       streams, [](const Stream& s) { return s.fps_required; });
  Each(out, "stagger_stream_assigned_fps", "gauge",
       "Inferences per second that the stream may have: the required rate, or what overload "
       "leaves.",
       streams, [](const Stream& s) { return s.fps_assigned; });
  Each(out, "stagger_stream_deadline_miss_ratio", "gauge", "Inferences over their deadline.",
       streams, [](const Stream& s) { return s.deadline_miss_ratio; });
  Quantiles(out, "stagger_stream_wait_seconds", "Request to grant, recent.", &Stream::wait_ms,
            streams);
  Quantiles(out, "stagger_stream_body_seconds", "Grant to release, recent.", &Stream::body_ms,
            streams);
  Quantiles(out, "stagger_stream_inference_seconds", "The whole call, waiting included, recent.",
            &Stream::inference_ms, streams);
}

}  // namespace

std::string MetricsText(const documents::Status& status) {
  std::string out;
  const documents::Loop& loop = status.daemon.loop;
  const std::string step = "stagger_daemon_loop_step_seconds";
  Family(
      &out, step, "summary",
      "Time between two waits of the loop that grants turns, and the loop's own CPU time in it.");
  out += fmt::format(
      "{0}{{clock=\"wall\",quantile=\"0.999\"}} {1}\n"
      "{0}{{clock=\"wall\",quantile=\"1\"}} {2}\n"
      "{0}{{clock=\"cpu\",quantile=\"0.999\"}} {3}\n"
      "{0}{{clock=\"cpu\",quantile=\"1\"}} {4}\n",
      step, loop.p999_ms / 1000, loop.max_ms / 1000, loop.cpu_p999_ms / 1000,
      loop.cpu_max_ms / 1000);
  Family(&out, "stagger_daemon_loop_steps_total", "counter", "Steps of that loop.");
  out += fmt::format("stagger_daemon_loop_steps_total {}\n", loop.steps);
  DeviceMetrics(&out, status.devices);
  if (status.mps.mode != "off") {
    Family(&out, "stagger_mps_state", "gauge", "1 for the state that NVIDIA's MPS is in.");
    for (const char* state : {"off", "starting", "running", "down"}) {
      out += fmt::format("stagger_mps_state{{state=\"{}\"}} {}\n", state,
                         status.mps.state == state ? 1 : 0);
    }
    Family(&out, "stagger_mps_restarts_total", "counter", "How often it was started again.");
    out += fmt::format("stagger_mps_restarts_total {}\n", status.mps.restarts);
  }
  StreamMetrics(&out, status.streams);
  return out;
}

}  // namespace stagger::daemon
