#include <string>
#include <vector>

#include "cli/verbs.h"

int main(int argc, char** argv) {
  return stagger::cli::Main(std::vector<std::string>(argv + 1, argv + argc));
}
