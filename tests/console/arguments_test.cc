// The real program, given wrong arguments: one line on stderr, nothing on stdout, the right exit
// code.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace stagger::cli {
namespace {

struct Outcome {
  int exit_code = -1;
  std::string output;
};

// `redirect` picks which output is returned; the other one is thrown away.
Outcome Stagger(const std::string& arguments, const std::string& redirect) {
  const std::string command =
      "env -u STAGGER_SOCKET -u XDG_RUNTIME_DIR " STAGGER_PATH " " + arguments + " " + redirect;
  FILE* pipe = popen(command.c_str(), "r");
  Outcome outcome;
  char buffer[4096];
  for (std::size_t count; (count = fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    outcome.output.append(buffer, count);
  }
  outcome.exit_code = WEXITSTATUS(pclose(pipe));
  return outcome;
}
Outcome Errors(const std::string& arguments) { return Stagger(arguments, "2>&1 >/dev/null"); }
Outcome Output(const std::string& arguments) { return Stagger(arguments, "2>/dev/null"); }

struct Misuse {
  const char* arguments;
  int exit_code;
  const char* says;  // part of the line
};

class Misuses : public testing::TestWithParam<Misuse> {};

TEST_P(Misuses, AreToldInOneLine) {
  const Outcome errors = Errors(GetParam().arguments);
  EXPECT_EQ(errors.exit_code, GetParam().exit_code) << errors.output;
  EXPECT_EQ(std::count(errors.output.begin(), errors.output.end(), '\n'), 1) << errors.output;
  EXPECT_EQ(errors.output.rfind("stagger: ", 0), 0u) << errors.output;
  EXPECT_NE(errors.output.find(GetParam().says), std::string::npos) << errors.output;
  EXPECT_EQ(Output(GetParam().arguments).output, "");
}

INSTANTIATE_TEST_SUITE_P(
    All, Misuses,
    testing::Values(
        Misuse{"", 2, "which verb? one of run, up, relay, status"},
        Misuse{"fly", 2,
               "unknown verb 'fly'; known: run, up, relay, status, why, policy, move, demo, bench"},
        Misuse{"run", 2, "no command; usage: stagger run"},
        Misuse{"run ls", 2, "no command; usage: stagger run"},
        Misuse{"run --fps 3 --", 2, "no command"},
        Misuse{"run --fps -1 -- true", 2, "'-1' is not a number > 0"},
        Misuse{"run --fps nan -- true", 2, "'nan' is not a number > 0"},
        Misuse{"run --wieght 1 -- true", 2, "--wieght"},
        Misuse{"run -- nosuchprogram", 1, "cannot run 'nosuchprogram': not found in PATH"},
        Misuse{"run -- ./nosuchprogram", 1, "cannot run './nosuchprogram': no such program"},
        Misuse{"up", 2, "site is required"},
        Misuse{"up /nonexistent.yaml", 2, "cannot read /nonexistent.yaml: No such file"},
        Misuse{"status --socket /nonexistent/s", 1, "no daemon listens at /nonexistent/s"},
        Misuse{"why", 2, "APP is required"},
        Misuse{"why gate --socket /nonexistent/s", 1, "why: no daemon listens at /nonexistent/s"},
        Misuse{"status extra", 2, "extra"}, Misuse{"policy", 2, "name is required"},
        Misuse{"policy fifo --socket /nonexistent/s", 1, "no daemon listens at /nonexistent/s"},
        Misuse{"policy fifo --concurrency 5000", 2, "--concurrency"},
        Misuse{"demo --legs lame", 2, "unknown leg 'lame'; known: alone"},
        Misuse{"demo --cameras 0", 2, "--cameras"},
        Misuse{"bench", 2, "which one? known: cpu, gate"},
        Misuse{"bench gpu", 2, "unknown bench 'gpu'; known: cpu, gate"},
        Misuse{"bench cpu --legs x", 2, "unknown leg 'x'; known: alone-bare"},
        Misuse{"bench gate --repeats 0", 2, "--repeats"}));

TEST(Misuse, ASocketPathThatIsTooLong) {
  const Outcome errors = Errors("status --socket /tmp/" + std::string(120, 'x'));
  EXPECT_EQ(errors.exit_code, 1);
  EXPECT_NE(errors.output.find("at most 107"), std::string::npos) << errors.output;
}

TEST(Help, EveryVerbHasOne) {
  for (const char* verb :
       {"", "run", "up", "status", "policy", "demo", "bench", "bench cpu", "bench gate"}) {
    const Outcome help = Output(std::string(verb) + " --help");
    EXPECT_EQ(help.exit_code, 0) << verb;
    EXPECT_GT(help.output.size(), 100u) << verb;
  }
  EXPECT_EQ(Output("--version").output.rfind("stagger ", 0), 0u);
}

TEST(Run, KeepsTheAppsOutputAndExitCode) {
  const Outcome run = Output(
      "run --socket /nonexistent/s --name cam --fps 5 -- sh -c 'echo $STAGGER_NAME $STAGGER_FPS "
      "$STAGGER_SOCKET; exit 7'");
  EXPECT_EQ(run.exit_code, 7);
  EXPECT_EQ(run.output, "cam 5 /nonexistent/s\n");
}

TEST(Run, SaysOnceThatNobodyControls) {
  const Outcome run = Errors("run --socket /nonexistent/s -- true");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(
      run.output.rfind("stagger: warning: 'true' runs uncontrolled until a daemon answers: ", 0),
      0u)
      << run.output;
}

TEST(Run, MakesARelativeSocketAbsolute) {
  const Outcome run = Output("run --socket here.sock -- sh -c 'echo $STAGGER_SOCKET'");
  EXPECT_EQ(run.output.front(), '/');
}

}  // namespace
}  // namespace stagger::cli
