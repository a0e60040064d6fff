// A program of several verbs: picks the one that its first argument names. Main thread, once.
#pragma once

#include <span>
#include <string>

#include "console/arguments.h"

namespace stagger::cli {

struct Verb {
  const char* name;
  const char* summary;
  int (*run)(const Arguments& arguments);  // the words after the name; returns the exit code
};

struct Program {
  const char* name;     // "stagger"
  const char* purpose;  // one line
  std::span<const Verb> verbs;
  const char* footer;  // the end of the help
};

// Runs one verb. An exception that a library throws becomes one line and exit code 1.
int RunGuarded(int (*run)(const Arguments&), const Arguments& arguments);

// Runs the verb that the first argument names. Answers --help and --version, too.
int RunProgram(const Program& program, const Arguments& arguments);

}  // namespace stagger::cli
