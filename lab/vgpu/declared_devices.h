// The devices of `stagger vgpu`: as they are declared, as a model file describes one, and as a
// person means one of them later. Pure but for reading model files and asking the server.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/vgpu/model.h"

namespace stagger::cli {

// "t4", or a model file.
Result<vgpu::Model> ModelOf(const std::string& name_or_file);

// "fast=t4,slow=t4:0.5:8GiB": [NAME=]MODEL[:SPEED[:MEMORY]], with commas. The error names the part
// that is no device, and what was expected.
Result<std::vector<vgpu::Model>> ParseDevices(const std::string& text);

// Declares one of the devices around us, by name or number, lost or there again. Error: there is
// none such, or no `stagger vgpu` around us.
Result<void> SwitchDevice(const std::string& name_or_number, bool here);

// A model file, in YAML. The error names file, line, column, field, value and what was expected.
Result<vgpu::Model> ParseModel(const std::string& text, const std::string& path);
Result<vgpu::Model> ReadModel(const std::string& path);

}  // namespace stagger::cli
