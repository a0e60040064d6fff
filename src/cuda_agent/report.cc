#include "cuda_agent/report.h"

#include <fcntl.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "cuda_agent/hooks.h"

namespace stagger::cuda_agent {
namespace {

using cuda::CallKind;

const char* NameOf(CallKind kind) {
  switch (kind) {
    case CallKind::kLaunch:
      return "launch";
    case CallKind::kGraphLaunch:
      return "graph launch";
    case CallKind::kCopyHtoD:
      return "copy in";
    case CallKind::kCopyDtoH:
      return "copy out";
    case CallKind::kCopyDtoD:
      return "copy on the device";
    case CallKind::kCopy:
      return "copy";
    case CallKind::kMemset:
      return "fill";
    case CallKind::kSync:
      return "wait";
    case CallKind::kEventRecord:
      return "event";
    case CallKind::kEventSync:
      return "wait for an event";
    case CallKind::kQuery:
      return "query";
    case CallKind::kStreamWait:
      return "wait on the device";
    case CallKind::kHostFunction:
      return "host function";
    case CallKind::kCapture:
      return "capture";
    default:
      return "other";
  }
}

bool Starts(CallKind kind) { return kind == CallKind::kLaunch || kind == CallKind::kGraphLaunch; }

// For names of functions and of files.
std::string Quoted(const char* text) {
  std::string quoted = "\"";
  for (; *text != '\0'; ++text) {
    const auto c = static_cast<unsigned char>(*text);
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c < 0x20 ? '?' : static_cast<char>(c);
  }
  return quoted + "\"";
}

// Drivers that this process has mapped: with more than one, some calls go past the hooks.
std::vector<std::string> Drivers() {
  std::vector<std::string> drivers;
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* out) {
        const char* slash = std::strrchr(object->dlpi_name, '/');
        const char* base = slash != nullptr ? slash + 1 : object->dlpi_name;
        if (std::strncmp(base, "libcuda.so", 10) == 0) {
          static_cast<std::vector<std::string>*>(out)->emplace_back(object->dlpi_name);
        }
        return 0;
      },
      &drivers);
  return drivers;
}

template <typename... Values>
void Append(std::string* text, const char* format, Values... values) {
  std::array<char, 256> buffer{};
  std::snprintf(buffer.data(), buffer.size(), format, values...);
  *text += buffer.data();
}

double Ms(Duration d) { return static_cast<double>(d.count()) / 1e6; }

}  // namespace

Report::Report() {
  const char* path = std::getenv("STAGGER_REPORT");
  wanted_ = path != nullptr && *path != '\0';
  if (!wanted_) return;
  path_ = path;
  inferences_.reserve(1024);
}

Report& Report::Get() {
  alignas(Report) static unsigned char storage[sizeof(Report)];
  static Report* const report = ::new (storage) Report();
  return *report;
}

void Report::FetchedUnknown(const char* name) {
  if (!wanted_) return;
  agent::MutexLock lock(&lock_);
  const bool known = std::ranges::find(unknown_, name) != unknown_.end();
  if (!known && unknown_.size() < kMostUnknown) unknown_.emplace_back(name);
}

void Report::Add(const phase::Inference& inference, Duration waited) {
  if (!wanted_ || inference.bodies == 0) return;
  agent::MutexLock lock(&lock_);
  if (inferences_.size() >= kMostInferences) return;
  const Duration pre = inference.body_begin - inference.begin - waited;
  const Duration post = inference.end - inference.body_begin - inference.body;
  inferences_.push_back({std::max(pre, Duration{}), inference.body, std::max(post, Duration{})});
}

std::string Report::Text(const phase::Detector& detector) {
  std::string text = "{\n";
  Append(&text, "\"pid\": %d,\n\"state\": \"%s\",\n\"confidence\": %.3f,\n",
         static_cast<int>(getpid()), phase::NameOf(detector.state()), detector.confidence());
  text += "\"reason\": " + Quoted(detector.Reason().c_str()) + ",\n";
  Append(&text, "\"inferences\": %llu,\n\"gated\": %llu,\n",
         static_cast<unsigned long long>(detector.inferences()),
         static_cast<unsigned long long>(gated_.load()));
  text += "\"calls\": [";
  const char* between = "\n";
  for (std::size_t at = 0; at < kCallCount; ++at) {
    const cuda::Call& call = cuda::kCalls[at];
    const auto count = static_cast<unsigned long long>(counts_[at].load());
    const bool hooked = HookFor(at) != nullptr;
    if (count == 0 && !(fetched_[at].load() && !hooked)) continue;
    text += between + std::string("  {\"symbol\": ") + Quoted(call.symbol.data());
    Append(&text, ", \"kind\": \"%s\", \"count\": %s", NameOf(call.kind),
           hooked ? std::to_string(count).c_str() : "null");
    Append(&text, ", \"handled\": \"%s\"}",
           !hooked             ? "passed through"
           : Starts(call.kind) ? "controlled"
                               : "seen");
    between = ",\n";
  }
  text += "],\n\"unknown\": [";
  between = "";
  for (const std::string& name : unknown_) {
    text += between + Quoted(name.c_str());
    between = ", ";
  }
  text += "],\n\"drivers\": [";
  between = "";
  for (const std::string& driver : Drivers()) {
    text += between + Quoted(driver.c_str());
    between = ", ";
  }
  text += "],\n\"phases_ms\": [";
  between = "";
  for (const Phases& one : inferences_) {
    text += between;
    Append(&text, "[%.4f, %.4f, %.4f]", Ms(one.pre), Ms(one.body), Ms(one.post));
    between = ", ";
  }
  return text + "]\n}\n";
}

void Report::Write(const phase::Detector& detector) {
  if (!wanted_) return;
  std::string text;
  {
    agent::MutexLock lock(&lock_);
    text = Text(detector);
  }
  // Whole or not at all: several processes of one app may share the name, and the last one wins.
  const std::string part = path_ + "." + std::to_string(getpid());
  const int fd = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const bool whole = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  if (!whole || rename(part.c_str(), path_.c_str()) != 0) unlink(part.c_str());
}

void Report::AfterForkInChild() {
  lock_.Renew();
  wanted_ = false;  // the parent's file
}

}  // namespace stagger::cuda_agent
