// stagger-demo: what `stagger demo` becomes.
#include "console/verb_table.h"
#include "lab/demo/demo.h"

int main(int argc, char** argv) {
  return stagger::cli::RunGuarded(stagger::cli::DemoVerb, {argv + 1, argv + argc});
}
