// What an executor says of itself (docs/executors.md): it fills this in, the daemon and
// `stagger-executor --status` read it. As in status.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "documents/status.h"

namespace stagger::documents {

struct ExecutorApp {
  std::string name;
  std::uint64_t inferences = 0, samples = 0;
  double body_ms = 0;
};

struct BatchPoint {
  int size = 0;
  double ms = 0;
};

struct ExecutorModel {
  std::string hash, options, runtime, state;
  std::uint64_t file_bytes = 0, memory_bytes = 0;
  double load_ms = 0, load_ms_total = 0;
  int loads = 0, slots = 0;
  std::uint64_t inferences = 0;
  Number body_ms;
  bool batch = false;
  std::uint64_t batches = 0, batched_inferences = 0;
  Text no_batches_because;
  std::vector<BatchPoint> batching;
};

struct ExecutorSlot {
  std::string name;
  int pid = 0;
  std::uint64_t inferences = 0;
};

struct Executor {
  std::string device;
  int max_batch = 1;
  double share = 1;
  int pid = 0;
  std::uint64_t shared_memory_bytes = 0, model_memory_bytes = 0, resident_bytes = 0,
                available_bytes = 0;
  double pace_ratio = 0;
  std::uint64_t inferences = 0;
  std::vector<ExecutorApp> apps;
  std::vector<ExecutorModel> models;
  std::vector<ExecutorSlot> slots;
};

}  // namespace stagger::documents
