// Passing errors on: the value of a Result; where it holds an error, the function returns that.
//   const std::string agent = STAGGER_TRY(installation.Agent());
#pragma once

#include <utility>

#include "base/result.h"

#define STAGGER_TRY(expression)                       \
  ({                                                  \
    auto stagger_tried = (expression);                \
    if (!stagger_tried) return stagger_tried.error(); \
    std::move(stagger_tried).value();                 \
  })
