#include "cli/verbs.h"

#include <array>

#include "console/verb_table.h"

namespace stagger::cli {
namespace {

constexpr std::array kVerbs{
#define STAGGER_VERB(name, Function, says) Verb{#name, says, Function},
#include "cli/verbs.inc"
#undef STAGGER_VERB
};

}  // namespace

int Main(const Arguments& arguments) {
  return RunProgram(
      {"stagger", "many inference apps, one device, no frame lost", kVerbs,
       "environment: STAGGER_SOCKET (the daemon's socket), STAGGERD and STAGGER_AGENT\n"
       "  (the daemon and the agent library to use instead of those installed with stagger)\n"},
      arguments);
}

}  // namespace stagger::cli
