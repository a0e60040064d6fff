// COIN-OR's Clp as the solver of placement's linear programs. A program belongs to one thread.
#pragma once

#include "planner/linear_program.h"

namespace stagger::planner {

std::unique_ptr<planner::LinearProgram> NewClp();

}  // namespace stagger::planner
