#include "look/program_report.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <sstream>
#include <utility>

#include "base/fd.h"
#include "report/page.h"

namespace stagger::cli {
namespace {

namespace fs = std::filesystem;

template <typename Page>
using Mapped = std::unique_ptr<const Page, void (*)(const Page*)>;

template <typename Page>
Mapped<Page> Map(const std::string& path) {
  const auto unmap = [](const Page* page) { munmap(const_cast<Page*>(page), sizeof(Page)); };
  Mapped<Page> none(nullptr, unmap);
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0) return none;
  if (static_cast<std::size_t>(info.st_size) != sizeof(Page)) return none;
  void* memory = mmap(nullptr, sizeof(Page), PROT_READ, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return none;
  Mapped<Page> page(static_cast<const Page*>(memory), unmap);
  const std::uint64_t magic = __atomic_load_n(&page->head.magic, __ATOMIC_ACQUIRE);
  if (magic != report::kMagic || page->head.size != sizeof(Page)) return none;
  return page;
}

std::vector<InferencePhases> InferencesOf(const report::Inferences& page) {
  const std::uint64_t count = page.count.load(std::memory_order_acquire);
  std::vector<InferencePhases> inferences;
  for (std::uint64_t i = count - std::min<std::uint64_t>(count, report::kMostInferences); i < count;
       ++i) {
    const report::Phases& one = page.ring[i % report::kMostInferences];
    inferences.push_back({Duration{one.pre_ns}, Duration{one.body_ns}, Duration{one.post_ns},
                          Duration{one.waited_ns}, static_cast<int>(one.bodies)});
  }
  return inferences;
}

void ReadHead(const report::Head& head, ProgramReport* program) {
  program->pid = head.pid;
  program->parent = head.parent;
  program->began_ns = head.began_ns;
  program->program = head.program.Get();
  program->command = head.command.Get();
  std::map<std::string, int> libraries;
  std::istringstream lines(head.libraries.Get());
  for (std::string line; std::getline(lines, line);) {
    if (const std::size_t slash = line.find('/'); slash != std::string::npos) {
      ++libraries[line.substr(slash)];
    }
  }
  for (const auto& [path, copies] : libraries) {
    program->libraries[path] = std::max(program->libraries[path], copies);
  }
}

ForwardingSeen ReadForwarding(const report::AgentPage& page) {
  ForwardingSeen seen;
  seen.sessions = page.forwarded_sessions;
  seen.calls = page.forwarded_calls;
  const std::size_t executors =
      std::min<std::size_t>(page.executor_count.load(), report::kMostExecutors);
  for (std::size_t i = 0; i < executors; ++i) {
    seen.executors.emplace_back(page.executors[i].socket.Get(), page.executors[i].inferences);
  }
  const std::size_t stayed = std::min<std::size_t>(page.stayed_count.load(), report::kMostStayed);
  for (std::size_t i = 0; i < stayed; ++i) {
    seen.stayed.push_back(
        {page.stayed[i].why.Get(), page.stayed[i].sessions, page.stayed[i].calls});
  }
  return seen;
}

OnnxSeen ReadPage(const report::AgentPage& page) {
  OnnxSeen seen;
  const std::size_t runtimes =
      std::min<std::size_t>(page.runtime_count.load(), report::kMostRuntimes);
  for (std::size_t i = 0; i < runtimes; ++i) {
    const report::Runtime& runtime = page.runtimes[i];
    // As the kernel names it, whatever links the app came by.
    std::error_code failure;
    const std::string path = runtime.path.Get();
    const fs::path real = fs::canonical(path, failure);
    seen.runtimes.push_back(
        {runtime.version.Get(), failure ? path : real.string(), runtime.hooked != 0});
  }
  seen.sessions = page.sessions;
  seen.accelerated_sessions = page.accelerated_sessions;
  seen.cooperative_sessions = page.cooperative_sessions;
  seen.run = page.run;
  seen.run_with_binding = page.run_with_binding;
  seen.run_async = page.run_async;
  seen.accelerated_runs = page.accelerated_runs;
  seen.forwarding = ReadForwarding(page);
  seen.passages = {page.turns, page.warmups, page.without_turn};
  seen.inferences = InferencesOf(page.inferences);
  return seen;
}

CudaSeen ReadPage(const report::CudaPage& page) {
  CudaSeen seen;
  for (std::size_t at = 0; at < cuda::kCalls.size(); ++at) {
    const std::uint64_t count = page.counts[at];
    const bool hooked = page.hooked[at] != 0;
    if (count == 0 && (hooked || page.fetched[at] == 0)) continue;
    seen.calls.push_back(
        {std::string(cuda::kCalls[at].symbol), cuda::kCalls[at].kind, count, hooked});
  }
  const std::size_t unknown = std::min<std::size_t>(page.unknown_count, report::kMostUnknown);
  for (std::size_t i = 0; i < unknown; ++i) seen.unknown.push_back(page.unknown[i].Get());
  seen.state = page.state.Get();
  seen.reason = page.reason.Get();
  seen.confidence = page.confidence;
  seen.seen = page.seen;
  seen.passages = {page.turns, page.warmups, page.without_turn};
  seen.inferences = InferencesOf(page.inferences);
  return seen;
}

}  // namespace

std::vector<ProgramReport> ReadReports(const std::string& folder) {
  // Both agents count a process's programs alike: PID-0.agent and PID-0.cuda are of the first.
  std::map<std::string, ProgramReport> programs;
  std::error_code failure;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failure)) {
    const std::string path = entry.path().string();
    const std::string extension = entry.path().extension().string();
    const std::string key = entry.path().stem().string();
    if (extension == std::string(".") + report::AgentPage::kSuffix) {
      if (const auto page = Map<report::AgentPage>(path)) {
        ReadHead(page->head, &programs[key]);
        programs[key].onnx = ReadPage(*page);
      }
    } else if (extension == std::string(".") + report::CudaPage::kSuffix) {
      if (const auto page = Map<report::CudaPage>(path)) {
        ReadHead(page->head, &programs[key]);
        programs[key].cuda = ReadPage(*page);
      }
    }
  }
  std::vector<ProgramReport> list;
  list.reserve(programs.size());
  for (auto& [key, program] : programs) list.push_back(std::move(program));
  std::stable_sort(list.begin(), list.end(), [](const ProgramReport& a, const ProgramReport& b) {
    return a.began_ns < b.began_ns;
  });
  return list;
}

}  // namespace stagger::cli
