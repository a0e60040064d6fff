#include "lab/vgpu/op_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace stagger::vgpu {
namespace {

constexpr std::size_t kHandOver = 64 * 1024;

const char* NameOf(OpKind kind) {
  constexpr std::array kNames{"kernel", "htod", "dtoh", "dtod", "memset", "marker", "host"};
  static_assert(kNames.size() == static_cast<std::size_t>(OpKind::kCount));
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

Result<std::unique_ptr<OpLog>> OpLog::Open(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) {
    return Error{fmt::format("--log: cannot write '{}': {}", path, std::strerror(errno))};
  }
  return std::unique_ptr<OpLog>(new OpLog(std::move(file)));
}

OpLog::OpLog(UniqueFd file) : file_(std::move(file)), writer_([this] { Write(); }) {}

OpLog::~OpLog() {
  Flush();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  writer_.join();
}

void OpLog::Device(std::uint32_t device, const Model& model, Mode mode, TimePoint now) {
  fmt::format_to(
      std::back_inserter(lines_),
      "{{\"event\":\"device\",\"device\":{},\"label\":{},\"name\":{},\"speed\":{},\"mode\":\"{}\","
      "\"sigma\":{},\"w\":{},\"g\":{},\"memory\":{},\"at_ns\":{}}}\n",
      device, Quoted(model.label), Quoted(model.name), model.speed,
      mode == Mode::kMps ? "mps" : "timeslice", model.contention.sigma, model.contention.w,
      model.contention.g, model.memory_bytes, now.since_epoch.count());
}

void OpLog::Switched(std::uint32_t device, bool here, TimePoint now) {
  fmt::format_to(std::back_inserter(lines_), "{{\"event\":\"{}\",\"device\":{},\"at_ns\":{}}}\n",
                 here ? "back" : "lost", device, now.since_epoch.count());
}

void OpLog::Came(std::uint32_t device, ProcessKey process, int pid, std::string_view program,
                 TimePoint now) {
  fmt::format_to(std::back_inserter(lines_),
                 "{{\"event\":\"came\",\"device\":{},\"process\":{},\"pid\":{},\"program\":{},"
                 "\"at_ns\":{}}}\n",
                 device, process, pid, Quoted(program), now.since_epoch.count());
}

void OpLog::Left(std::uint32_t device, ProcessKey process, int pid, TimePoint now) {
  fmt::format_to(std::back_inserter(lines_),
                 "{{\"event\":\"left\",\"device\":{},\"process\":{},\"pid\":{},\"at_ns\":{}}}\n",
                 device, process, pid, now.since_epoch.count());
}

void OpLog::Ended(std::uint32_t device, const Outcome& outcome, int pid, std::string_view name) {
  const Op& op = outcome.op;
  const auto ns = [](TimePoint t) { return t.since_epoch.count(); };
  auto out = std::back_inserter(lines_);
  fmt::format_to(
      out,
      "{{\"event\":\"op\",\"device\":{},\"process\":{},\"pid\":{},\"op\":{},\"stream\":{},"
      "\"kind\":\"{}\",",
      device, outcome.process, pid, op.id, op.stream, NameOf(op.kind));
  if (op.kind == OpKind::kKernel) {
    fmt::format_to(out, "\"name\":{},\"class\":\"{}\",\"demand\":{},", Quoted(name),
                   op.phase == sim::Phase::kPost ? "post" : "body", op.demand);
  } else if (op.bytes > 0) {
    fmt::format_to(out, "\"bytes\":{},", op.bytes);
  }
  fmt::format_to(out, "\"submitted_ns\":{},\"begin_ns\":{},\"end_ns\":{},\"result\":{}}}\n",
                 ns(outcome.submitted), ns(outcome.begin), ns(outcome.end), outcome.result);
  if (lines_.size() >= kHandOver) Flush();
}

void OpLog::Flush() {
  if (lines_.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    handed_over_ += lines_;
  }
  lines_.clear();
  changed_.notify_one();
}

void OpLog::Write() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !handed_over_.empty(); });
    if (handed_over_.empty()) return;
    const std::string text = std::exchange(handed_over_, {});
    lock.unlock();
    std::string_view rest = text;
    while (!rest.empty()) {
      const ssize_t written = write(file_.get(), rest.data(), rest.size());
      if (written < 0 && errno != EINTR) break;  // a full disk: the device goes on
      if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
    }
    lock.lock();
  }
}

}  // namespace stagger::vgpu
