#include "daemon/view/metrics.h"

#include <fmt/format.h>

#include <functional>
#include <tuple>

#include "core/stream.h"

namespace stagger::daemon {

namespace {

using nlohmann::json;

std::string Escaped(const std::string& label) {
  std::string out;
  for (const char c : label) {
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

void Family(std::string* out, const char* name, const char* type, const char* help) {
  *out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

// One sample per element of `list`; those without a value are left out.
void Each(std::string* out, const char* name, const char* label, const json& list,
          const std::function<json(const json&)>& value) {
  for (const json& element : list) {
    const json sample = value(element);
    if (!sample.is_number()) continue;
    *out += fmt::format("{}{{{}=\"{}\"}} {}\n", name, label,
                        Escaped(element["name"].get<std::string>()), sample.dump());
  }
}

json MsToSeconds(const json& ms) {
  return ms.is_number() ? json(ms.get<double>() / 1000) : json(nullptr);
}

json Bytes(const json& gb) { return gb.is_number() ? json(gb.get<double>() * 1e9) : json(nullptr); }

void Quantiles(std::string* out, const char* name, const char* help, const char* field,
               const json& streams) {
  Family(out, name, "summary", help);
  for (const json& stream : streams) {
    for (const auto& [quantile, key] : {std::pair{"0.5", "p50"}, std::pair{"0.99", "p99"}}) {
      const json value = MsToSeconds(stream[field][key]);
      if (!value.is_number()) continue;
      *out += fmt::format("{}{{stream=\"{}\",quantile=\"{}\"}} {}\n", name,
                          Escaped(stream["name"].get<std::string>()), quantile, value.dump());
    }
  }
}

}  // namespace

std::string MetricsText(const json& status) {
  std::string out;
  const json& devices = status["devices"];
  const json& streams = status["streams"];
  const auto field = [](const char* key) { return [key](const json& e) { return e[key]; }; };
  const auto count = [](const char* key) {
    return [key](const json& e) { return json(e[key].size()); };
  };

  const json& loop = status["daemon"]["loop"];
  Family(
      &out, "stagger_daemon_loop_step_seconds", "summary",
      "Time between two waits of the loop that grants turns, and the loop's own CPU time in it.");
  for (const auto& [clock, quantile, key] :
       {std::tuple{"wall", "0.999", "p999_ms"}, std::tuple{"wall", "1", "max_ms"},
        std::tuple{"cpu", "0.999", "cpu_p999_ms"}, std::tuple{"cpu", "1", "cpu_max_ms"}}) {
    out += fmt::format("stagger_daemon_loop_step_seconds{{clock=\"{}\",quantile=\"{}\"}} {}\n",
                       clock, quantile, MsToSeconds(loop[key]).dump());
  }
  Family(&out, "stagger_daemon_loop_steps_total", "counter", "Steps of that loop.");
  out += fmt::format("stagger_daemon_loop_steps_total {}\n", loop["steps"].dump());

  Family(&out, "stagger_turns_total", "counter", "Bodies that ran on a device.");
  Each(&out, "stagger_turns_total", "device", devices, field("turns"));
  Family(&out, "stagger_body_seconds_total", "counter", "Time that bodies ran, summed over them.");
  Each(&out, "stagger_body_seconds_total", "device", devices,
       [](const json& d) { return MsToSeconds(d["body_time_ms"]); });
  Family(&out, "stagger_busy_seconds_total", "counter", "Time during which at least one body ran.");
  Each(&out, "stagger_busy_seconds_total", "device", devices,
       [](const json& d) { return MsToSeconds(d["busy_time_ms"]); });
  Family(&out, "stagger_overlap_ratio", "gauge", "Share of body time with more than k bodies.");
  Each(&out, "stagger_overlap_ratio", "device", devices, field("overlap_ratio"));
  Family(&out, "stagger_running", "gauge", "Bodies running now.");
  Each(&out, "stagger_running", "device", devices, count("running"));
  Family(&out, "stagger_waiting", "gauge", "Bodies waiting for their turn now.");
  Each(&out, "stagger_waiting", "device", devices, count("waiting"));

  Family(&out, "stagger_gpu_utilisation_ratio", "gauge",
         "Share of time with a kernel running, as the driver tells.");
  Each(&out, "stagger_gpu_utilisation_ratio", "device", devices, field("gpu_utilisation_ratio"));
  Family(&out, "stagger_gpu_memory_used_bytes", "gauge", "Memory in use, of all processes.");
  Each(&out, "stagger_gpu_memory_used_bytes", "device", devices,
       [](const json& d) { return Bytes(d["memory_used_gb"]); });
  Family(&out, "stagger_gpu_memory_bytes", "gauge", "Memory that the GPU has.");
  Each(&out, "stagger_gpu_memory_bytes", "device", devices,
       [](const json& d) { return Bytes(d["memory_gb"]); });

  Family(&out, "stagger_gpu_faults_total", "counter",
         "Faults of a GPU that broke apps, since the daemon's start.");
  Each(&out, "stagger_gpu_faults_total", "device", devices,
       [&](const json& d) { return d["kind"] == "gpu" ? d["faults"] : json(nullptr); });
  const json& mps = status["mps"];
  if (mps["mode"] != "off") {
    Family(&out, "stagger_mps_state", "gauge", "1 for the state that NVIDIA's MPS is in.");
    for (const char* state : {"off", "starting", "running", "down"}) {
      out += fmt::format("stagger_mps_state{{state=\"{}\"}} {}\n", state,
                         mps["state"] == state ? 1 : 0);
    }
    Family(&out, "stagger_mps_restarts_total", "counter", "How often it was started again.");
    out += fmt::format("stagger_mps_restarts_total {}\n", mps["restarts"].dump());
  }

  for (const core::StreamCounter& counter : core::kStreamCounters) {
    if (counter.help == nullptr) continue;
    const std::string name = fmt::format("stagger_stream_{}_total", counter.key);
    Family(&out, name.c_str(), "counter", counter.help);
    Each(&out, name.c_str(), "stream", streams, field(counter.key));
  }
  Family(&out, "stagger_stream_fps", "gauge", "Inferences per second, lately.");
  Each(&out, "stagger_stream_fps", "stream", streams, field("fps"));
  Family(&out, "stagger_stream_required_fps", "gauge", "Inferences per second that are required.");
  Each(&out, "stagger_stream_required_fps", "stream", streams, field("fps_required"));
  Family(&out, "stagger_stream_assigned_fps", "gauge",
         "Inferences per second that the stream may have: the required rate, or what overload "
         "leaves.");
  Each(&out, "stagger_stream_assigned_fps", "stream", streams, field("fps_assigned"));
  Family(&out, "stagger_stream_deadline_miss_ratio", "gauge", "Inferences over their deadline.");
  Each(&out, "stagger_stream_deadline_miss_ratio", "stream", streams, field("deadline_miss_ratio"));
  Quantiles(&out, "stagger_stream_wait_seconds", "Request to grant, recent.", "wait_ms", streams);
  Quantiles(&out, "stagger_stream_body_seconds", "Grant to release, recent.", "body_ms", streams);
  Quantiles(&out, "stagger_stream_inference_seconds", "The whole call, waiting included, recent.",
            "inference_ms", streams);
  return out;
}

}  // namespace stagger::daemon
