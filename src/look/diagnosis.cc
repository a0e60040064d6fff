#include "look/diagnosis.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "report/page.h"

namespace stagger::cli {
namespace {

using cuda::CallKind;
using Role = report::Known::Role;

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
    case CallKind::kIdentity:
      return "set-up";
    case CallKind::kMemory:
      return "memory";
    case CallKind::kGraph:
      return "graph building";
    case CallKind::kEntry:
      return "entry";
    case CallKind::kOther:
      break;
  }
  return "other";
}

bool Starts(CallKind kind) { return kind == CallKind::kLaunch || kind == CallKind::kGraphLaunch; }

// Whether a driver function that the project does not know may put work on the device.
bool MayStartWork(const std::string& name) {
  return name.find("Launch") != std::string::npos || name.find("Memcpy") != std::string::npos ||
         name.find("Memset") != std::string::npos || name.find("BatchMemOp") != std::string::npos;
}

std::string Quoted(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

const report::Known* AgentsOwn(const std::string& path) {
  const report::Known* known = report::Recognise(path);
  return known != nullptr && known->file.starts_with("libstagger") ? known : nullptr;
}

// Whether it has anything to infer with: a framework, a driver, calls.
bool MayInfer(const ProgramFacts& facts) {
  if (!facts.inside.empty()) return true;
  if (facts.onnx && (facts.onnx->runs() > 0 || !facts.onnx->runtimes.empty())) return true;
  if (facts.onnx && facts.onnx->forwarding.any()) return true;
  if (facts.cuda && !facts.cuda->calls.empty()) return true;
  return std::ranges::any_of(facts.libraries, [](const auto& library) {
    const report::Known* known = report::Recognise(library.first);
    return known != nullptr && known->role != Role::kMention;
  });
}

// Judges one program.
class Doctor {
 public:
  explicit Doctor(ProgramFacts facts) { it_.facts = std::move(facts); }

  ProgramDiagnosis Judge() {
    if (facts().cuda) Cuda(*facts().cuda);
    if (facts().onnx) Onnx(*facts().onnx);
    for (const auto& [path, copies] : facts().libraries) Library(path, copies);
    for (const auto& [runtime, file] : facts().inside) {
      it_.loaded.push_back(fmt::format("{}, linked into {}", runtime, file));
      Escape(fmt::format("{} is linked statically into {}: no hook reaches it", runtime, file));
    }
    if (!facts().agent) WithoutAgent();
    // Nobody knows of anything in it that infers: not an escape, but not to be passed over.
    if (!MayInfer(facts())) {
      std::ranges::move(it_.escapes, std::back_inserter(it_.notes));
      it_.escapes.clear();
    }
    return std::move(it_);
  }

 private:
  const ProgramFacts& facts() const { return it_.facts; }
  void Escape(std::string text) { it_.escapes.push_back(std::move(text)); }
  void Note(std::string text) { it_.notes.push_back(std::move(text)); }

  void Passed(const Passages& passages, const char* what) {
    if (passages.turns > 0) {
      if (passages.without_turn > 0) {
        Note(
            fmt::format("{} of {} {} ran without a turn, before the daemon was there or because it "
                        "did not answer",
                        passages.without_turn, passages.turns + passages.without_turn, what));
      }
      return;
    }
    if (passages.without_turn > 0) {
      Escape(
          fmt::format("none of its {} got a turn: it ended before the agent reached the daemon, or "
                      "the agent could not",
                      what));
    } else if (passages.warmups > 0) {
      Escape("it ended before its warm-up was over, so nothing was gated; let it run longer");
    }
  }

  void Cuda(const CudaSeen& cuda) {
    std::uint64_t launches = 0;
    std::vector<std::string> passed_through;
    for (const DriverCallSeen& call : cuda.calls) {
      CallRow row{NameOf(call.kind), call.symbol, std::nullopt, "passed through"};
      if (call.hooked) {
        row.count = call.count;
        row.handled = Starts(call.kind) ? "controlled" : "seen";
        if (Starts(call.kind)) launches += call.count;
      }
      it_.calls.push_back(std::move(row));
    }
    it_.controls |= launches > 0;
    launches_ = launches;
    std::vector<std::string> work;
    std::vector<std::string> others;
    for (const std::string& name : cuda.unknown) {
      it_.calls.push_back({"unknown", name, std::nullopt, "passed through"});
      (MayStartWork(name) ? work : others).push_back(name);
    }
    if (!work.empty()) {
      Escape("it got driver functions that may start work and that Stagger does not know: " +
             Quoted(work));
    }
    if (!others.empty()) {
      Note(fmt::format("{} driver functions that Stagger does not know were passed through",
                       others.size()));
    }
    if (launches > 0) {
      Passed(cuda.passages, "bodies");
      const bool started = cuda.passages.turns + cuda.passages.without_turn > 0;
      if (!started && cuda.passages.warmups == 0) {
        Escape("its calls were seen, but no body was found in them");
      }
      if (!cuda.state.empty()) {
        Note(fmt::format("bodies: {}, confidence {:.2f}: {}", cuda.state, cuda.confidence,
                         cuda.reason));
      }
    }
  }

  void Onnx(const OnnxSeen& onnx) {
    const std::uint64_t controlled = onnx.runs() - std::min(onnx.runs(), onnx.accelerated_runs);
    for (const auto& [name, count] : {std::pair{"Run", onnx.run},
                                      {"RunWithBinding", onnx.run_with_binding},
                                      {"RunAsync", onnx.run_async}}) {
      if (count == 0) continue;
      it_.calls.push_back(
          {"inference", name, count, controlled > 0 ? "controlled" : "passed through"});
    }
    it_.controls |= controlled > 0;
    Forwarded(onnx.forwarding);
    for (const RuntimeSeen& runtime : onnx.runtimes) {
      it_.loaded.push_back(fmt::format("ONNX Runtime {} ({})", runtime.version, runtime.path));
      if (!runtime.hooked) {
        Escape(fmt::format("ONNX Runtime {} at {}: more runtimes in one process than can be hooked",
                           runtime.version, runtime.path));
      }
    }
    if (onnx.sessions > 0) {
      Note(fmt::format("{} sessions, {} of them with threads that the agent may place",
                       onnx.sessions, onnx.cooperative_sessions));
    }
    if (onnx.accelerated_runs > 0) {
      const std::string what = fmt::format("{} inferences of {} sessions with an accelerator",
                                           onnx.accelerated_runs, onnx.accelerated_sessions);
      launches_ > 0 ? Note(what + ": controlled by their CUDA calls")
                    : Escape(what + " were left alone, and no CUDA calls of theirs were seen");
    }
    if (controlled > 0) Passed(onnx.passages, "inferences");
    if (!onnx.runtimes.empty() && onnx.runs() + onnx.forwarding.calls == 0)
      Note("ONNX Runtime is there; it did not infer");
  }

  void Forwarded(const ForwardingSeen& seen) {
    if (seen.calls == 0) return;
    it_.calls.push_back({"inference", "Run", seen.calls, "forwarded"});
    it_.controls = true;
    Note("forwarded inferences take their turns in the executor, if that one has the agent in it");
  }

  void Library(const std::string& path, int copies) {
    const report::Known* known = report::Recognise(path);
    if (known == nullptr || AgentsOwn(path) != nullptr) return;
    const std::string name(known->name);
    // The agent has told of it, with its version.
    const bool told = known->role == Role::kOnnx && facts().onnx &&
                      std::ranges::find(facts().onnx->runtimes, path, &RuntimeSeen::path) !=
                          facts().onnx->runtimes.end();
    if (!told) it_.loaded.push_back(fmt::format("{} ({})", name, path));
    switch (known->role) {
      case Role::kCudaDriver:
        Driver(path, copies);
        break;
      case Role::kOnnxInside:
        Escape(fmt::format("{} ({}): its runtime is linked statically, so no hook reaches it", name,
                           path));
        break;
      case Role::kOnnx:
        if (copies > 1) Note(fmt::format("{} is mapped {} times", path, copies));
        break;
      case Role::kOnCuda:
        if (launches_ == 0) Note(name + " is loaded; no CUDA work of it was seen");
        break;
      case Role::kOnCpu:
        if (launches_ > 0) {
          Note(fmt::format("what {} computes on the CPU is not controlled", name));
        } else {
          Escape(name + " is loaded; what it computes on the CPU is not controlled");
        }
        break;
      case Role::kOtherDriver:
        Escape(name + " is loaded; what runs on its device is not controlled");
        break;
      case Role::kMention:
        break;
    }
  }

  void Driver(const std::string& path, int copies) {
    drivers_ += copies;
    if (drivers_ > 1 && drivers_ - copies <= 1) {
      Escape(
          fmt::format("the CUDA driver is mapped {} times ({}): calls into a second copy, as in a "
                      "dlmopen namespace, go past the hooks",
                      drivers_, path));
    }
    if (facts().agent && !facts().cuda_agent) {
      Escape(
          "it has loaded a CUDA driver, but the agent for CUDA is not there: it is preloaded "
          "only where 'stagger' itself finds a libcuda.so.1");
    } else if (facts().cuda_agent && facts().cuda && facts().cuda->calls.empty()) {
      Note(
          "a CUDA driver is loaded, but no call came through the hooks: unused, or reached in a "
          "way "
          "that cannot be seen");
    }
  }

  void WithoutAgent() {
    if (facts().obstacle) {
      Escape(*facts().obstacle);
    } else if (!facts().readable) {
      Escape("it cannot be looked into, and the agent is not in it: another user's process?");
    } else if (facts().told_to_preload == false) {
      Escape(
          "the agent is not in it: its environment does not name the agent in LD_PRELOAD; the "
          "program that started it cleaned the environment or set another");
    } else {
      Escape("the agent is not in it, though its environment names it");
    }
  }

  ProgramDiagnosis it_;
  std::uint64_t launches_ = 0;
  int drivers_ = 0;
};

std::string ShortName(const ProgramFacts& facts) {
  const std::string& path = facts.program;
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.empty() ? fmt::format("pid {}", facts.pid) : name;
}

}  // namespace

std::vector<ProgramFacts> Together(const std::vector<ProgramReport>& reports,
                                   const std::vector<WatchedProgram>& watched) {
  std::vector<ProgramFacts> all;
  for (const ProgramReport& report : reports) {
    ProgramFacts facts;
    facts.pid = report.pid;
    facts.program = report.program;
    facts.command = report.command;
    facts.agent = report.onnx.has_value();
    facts.cuda_agent = report.cuda.has_value();
    facts.libraries = report.libraries;
    facts.onnx = report.onnx;
    facts.cuda = report.cuda;
    all.push_back(std::move(facts));
  }
  for (const WatchedProgram& seen : watched) {
    bool known = false;
    for (ProgramFacts& facts : all) {
      if (facts.pid != seen.pid || facts.program != seen.program) continue;
      known = true;
      for (const auto& [path, copies] : seen.libraries) {
        facts.libraries[path] = std::max(facts.libraries[path], copies);
      }
    }
    if (known) continue;
    ProgramFacts facts;
    facts.pid = seen.pid;
    facts.program = seen.program;
    facts.command = seen.command;
    facts.agent = seen.agent;
    facts.cuda_agent = seen.cuda_agent;
    facts.readable = seen.readable;
    facts.told_to_preload = seen.told_to_preload;
    facts.libraries = seen.libraries;
    all.push_back(std::move(facts));
  }
  return all;
}

std::string Diagnosis::VerdictLine() const {
  return reasons.empty() ? verdict : verdict + ": " + fmt::format("{}", fmt::join(reasons, "; "));
}

Diagnosis Diagnose(std::vector<ProgramFacts> programs, bool driver) {
  Diagnosis diagnosis;
  diagnosis.driver = driver;
  bool any = false;
  for (ProgramFacts& facts : programs) {
    // What has the agent and nothing to infer with is of no interest; nor is what has neither,
    // unless nothing can be told of it.
    const bool dark = !facts.agent && (facts.obstacle || !facts.readable);
    if (!MayInfer(facts) && !dark) {
      ++diagnosis.others;
      continue;
    }
    ProgramDiagnosis program = Doctor(std::move(facts)).Judge();
    any |= program.controls;
    for (const std::string& escape : program.escapes) {
      diagnosis.reasons.push_back(ShortName(program.facts) + ": " + escape);
    }
    diagnosis.programs.push_back(std::move(program));
  }
  if (!any && diagnosis.reasons.empty()) {
    for (const ProgramDiagnosis& program : diagnosis.programs) {
      if (program.facts.agent || MayInfer(program.facts)) continue;
      for (const std::string& note : program.notes) {
        diagnosis.reasons.push_back(ShortName(program.facts) + ": " + note);
      }
    }
  }
  if (!any && diagnosis.reasons.empty()) {
    diagnosis.reasons.emplace_back(
        "no inference was seen, by any framework or driver that Stagger "
        "knows");
  }
  diagnosis.verdict = !any                        ? "not controlled"
                      : diagnosis.reasons.empty() ? "controlled"
                                                  : "partly controlled";
  return diagnosis;
}

}  // namespace stagger::cli
