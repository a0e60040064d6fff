// A virtual GPU's model from a YAML file. Pure but for reading the file.
#pragma once

#include <string>

#include "base/result.h"
#include "lab/vgpu/model.h"

namespace stagger::cli {

// The error names file, line, column, field, value and what was expected.
Result<vgpu::Model> ParseModel(const std::string& text, const std::string& path);
Result<vgpu::Model> ReadModel(const std::string& path);

}  // namespace stagger::cli
