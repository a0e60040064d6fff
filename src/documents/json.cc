#include "documents/json.h"

#include "documents/executor.h"
#include "documents/fields.h"
#include "documents/places.h"
#include "documents/status.h"
#include "documents/why.h"

namespace stagger::documents {

template <>
inline constexpr bool kInlined<Counters> = true;
template <>
inline constexpr bool kInlined<Place> = true;

template <class Self, class Visit>
requires std::is_same_v<std::remove_const_t<Self>, Counters>
void EachField(Self& self, Visit visit) {
  for (const core::StreamCounter& counter : core::kStreamCounters) {
    if (counter.key != nullptr) visit(counter.key, self.*counter.value);
  }
}

nlohmann::json Written(const Concurrency& limit) {
  return limit.by_itself ? nlohmann::json("auto") : nlohmann::json(limit.limit);
}

void ReadInto(const nlohmann::json& json, Concurrency& limit) {
  limit.by_itself = json == "auto";
  ReadInto(json, limit.limit);
}

STAGGER_FIELDS(Loop, steps, max_ms, p999_ms, cpu_max_ms, cpu_p999_ms)
STAGGER_FIELDS(Daemon, loop, log_lines_lost)
STAGGER_FIELDS(Policy, name, concurrency, demand_limit, spacing_ms)
STAGGER_FIELDS(Mps, mode, state, ours, pid, since_s, restarts, reason, pipe_directory,
               log_directory)
STAGGER_FIELDS(NearestFit, stream, fps)
STAGGER_FIELDS(Headroom, like, fps)
STAGGER_FIELDS(Admission, admitted, utilisation_ratio, reason, binding_stream, interval_ms,
               nearest_fit, headroom)
STAGGER_FIELDS(Running, stream, for_ms, expired)
STAGGER_FIELDS(Waiting, stream, for_ms)
STAGGER_FIELDS(GpuProcess, pid, stream, memory_gb)
STAGGER_FIELDS(Device, name, kind, model, uuid, memory_gb, memory_used_gb, gpu_utilisation_ratio,
               compute_mode, problem, processes, cores, concurrency, running, waiting,
               utilisation_ratio, admission, load_ratio, overloaded, body_time_ms, busy_time_ms,
               overlap_ratio, turns, faults)
STAGGER_FIELDS(FaultyStream, name, pid, error, code, present)
STAGGER_FIELDS(Fault, number, device, for_s, shared, culprit, streams)
STAGGER_FIELDS(Summary, min, mean, p50, p99, max)
STAGGER_FIELDS(Phase, mean, p99, confidence)
STAGGER_FIELDS(Profile, pre_ms, body_ms, post_ms, occupancy, occupancy_confidence, overlaps)
STAGGER_FIELDS(Place, devices, standby, reason, body_ms, measured_body_ms, lowered_fps, moves,
               for_s)
STAGGER_FIELDS(StreamPlace, place, at_next_start)
STAGGER_FIELDS(Stream, name, pid, command, fps_required, fps_assigned, fps, deadline_ms, weight,
               deadline_miss_ratio, missed, excess, verdict, verdict_code, counters, wait_ms,
               body_ms, inference_ms, profile, device, state, attached_s, forwards, on, assigned_to,
               assigned_why, serves, fault, placement, video)
STAGGER_FIELDS(PlacedDevice, name, on, speed, memory_gb, here, measured_speed, measured_memory_gb,
               overfull, for_s, streams)
STAGGER_FIELDS(PlacedStream, place, name, fps, runs)
STAGGER_FIELDS(PlanEvent, for_s, text)
STAGGER_FIELDS(Placement, devices, streams, events)
STAGGER_FIELDS(Totals, counters, streams, fps, fps_required, missed, clients_refused,
               clients_dropped)
STAGGER_FIELDS(Status, version, pid, uptime_s, socket, http, daemon, policy, admission, mps,
               devices, faults, streams, placement, totals)

STAGGER_FIELDS(DeviceConcurrency, name, concurrency)
STAGGER_FIELDS(PolicyInForce, name, concurrency, demand_limit, spacing_ms, devices)
STAGGER_FIELDS(Assignment, name, executors, reason, for_s)
STAGGER_FIELDS(Assigned, assignments, streams, on)

STAGGER_FIELDS(Rival, name, weight, fps_required, fps_assigned, fps)
STAGGER_FIELDS(Rate, min_fps, cap_fps, occupied_ms, lowered_s)
STAGGER_FIELDS(Behind, stream, time_ms, ratio)
STAGGER_FIELDS(Wait, ago_s, device, wait_ms, deferred_ms, overtaken, reason)
STAGGER_FIELDS(ReasonCount, reason, count)
STAGGER_FIELDS(Waits, count, accounted, overtaken, time_ms, deferred_ms, queued_ms, behind,
               behind_gone_ms, nobody_ms, nobody_ratio, longest, reasons, recent)
STAGGER_FIELDS(Incident, kind, ago_s, after_ms)
STAGGER_FIELDS(WhyStream, stream, device, rivals, rate, served, on_streams, lease_ms, wait_bound_ms,
               waits, incidents, faults)
STAGGER_FIELDS(Why, policy, admission, mps, streams)

STAGGER_FIELDS(GivenPlace, name, devices, executors, gpus, reason)
STAGGER_FIELDS(GivenPlaces, streams)

STAGGER_FIELDS(ExecutorApp, name, inferences, samples, body_ms)
STAGGER_FIELDS(BatchPoint, size, ms)
STAGGER_FIELDS(ExecutorModel, hash, options, runtime, state, file_bytes, memory_bytes, load_ms,
               load_ms_total, loads, slots, inferences, body_ms, batch, batches, batched_inferences,
               no_batches_because, batching)
STAGGER_FIELDS(ExecutorSlot, name, pid, inferences)
STAGGER_FIELDS(Executor, device, max_batch, share, pid, shared_memory_bytes, model_memory_bytes,
               resident_bytes, available_bytes, pace_ratio, inferences, apps, models, slots)

template <class Document>
std::string ToText(const Document& document) {
  return Written(document).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

template <class Document>
Document Read(const nlohmann::json& json) {
  Document document;
  ReadInto(json, document);
  return document;
}

template std::string ToText(const Status&);
template std::string ToText(const Why&);
template std::string ToText(const PolicyInForce&);
template std::string ToText(const Assigned&);
template std::string ToText(const GivenPlaces&);
template std::string ToText(const Executor&);
template Status Read(const nlohmann::json&);
template Why Read(const nlohmann::json&);
template PolicyInForce Read(const nlohmann::json&);
template Assigned Read(const nlohmann::json&);
template GivenPlaces Read(const nlohmann::json&);
template Executor Read(const nlohmann::json&);

}  // namespace stagger::documents
