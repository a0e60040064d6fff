#include "lab/vgpu/libcuda/image.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "lab/vgpu/quantity.h"

namespace stagger::vgpu {
namespace {

std::string_view NextWord(std::string_view* rest) {
  const std::size_t begin = std::min(rest->find_first_not_of(" \t\r"), rest->size());
  rest->remove_prefix(begin);
  const std::size_t end = std::min(rest->find_first_of(" \t\r"), rest->size());
  const std::string_view word = rest->substr(0, end);
  rest->remove_prefix(end);
  return word;
}

bool ParseCost(const std::string& text, std::int64_t* ns) {
  if (text == "forever") {
    *ns = std::int64_t{24} * 3600 * 365 * 1'000'000'000;
    return true;
  }
  const std::optional<Duration> time = ParseTime(text);
  if (time) *ns = time->count();
  return time.has_value();
}

bool ParseParams(const std::string& text, std::vector<std::uint32_t>* params) {
  const char* at = text.c_str();
  while (*at != '\0') {
    char* end = nullptr;
    const unsigned long size = std::strtoul(at, &end, 10);
    if (end == at || size == 0 || size > 4096 || (*end != ',' && *end != '\0')) return false;
    params->push_back(static_cast<std::uint32_t>(size));
    at = *end == ',' ? end + 1 : end;
  }
  return true;
}

std::vector<std::uint32_t> ParamsOf(Action action) {
  if (action == Action::kScale) return {8, 8, 4, 4};
  return {8, 8, 4};
}

// Reads one field into `kernel`. What is wrong with it, or empty.
std::string ReadField(const std::string& field, const std::string& value, Kernel* kernel) {
  if (field == "cost") {
    return ParseCost(value, &kernel->cost_ns) ? "" : "a time like 50us, 1.5ms, or forever";
  }
  if (field == "demand") {
    char* end = nullptr;
    kernel->demand = std::strtod(value.c_str(), &end);
    const bool good =
        end != value.c_str() && *end == '\0' && kernel->demand > 0 && kernel->demand <= 1;
    return good ? "" : "a number above 0, up to 1";
  }
  if (field == "class") {
    kernel->post = value == "post" ? 1 : 0;
    return value == "body" || value == "post" ? "" : "body or post";
  }
  if (field == "params") {
    kernel->sized = true;
    return ParseParams(value, &kernel->params) ? "" : "sizes in bytes with commas, like 8,8,4";
  }
  if (field == "do") {
    if (value == "copy") kernel->action = Action::kCopy;
    if (value == "add") kernel->action = Action::kAdd;
    if (value == "scale") kernel->action = Action::kScale;
    return kernel->action != Action::kNone ? "" : "copy, add or scale";
  }
  return "one of cost, demand, class, params, do";
}

struct Operands {
  float* to;
  const float* from;
  float factor;
  std::size_t count;
};

Operands OperandsOf(const Kernel& kernel, const std::byte* params) {
  Operands operands{};
  std::memcpy(&operands.to, params, 8);
  std::memcpy(&operands.from, params + 8, 8);
  std::int32_t count = 0;
  if (kernel.action == Action::kScale) std::memcpy(&operands.factor, params + 16, 4);
  std::memcpy(&count, params + kernel.OffsetOf(kernel.params.size() - 1), 4);
  operands.count = static_cast<std::size_t>(std::max(count, 0));
  return operands;
}

}  // namespace

std::size_t Kernel::OffsetOf(std::size_t index) const {
  std::size_t offset = 0;
  for (std::size_t i = 0; i <= index; ++i) {
    // As C lays out arguments: each at a multiple of its size, 8 at most.
    const std::size_t size = params[i];
    const std::size_t alignment = size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;
    offset = (offset + alignment - 1) / alignment * alignment;
    if (i < index) offset += size;
  }
  return offset;
}

std::size_t Kernel::params_bytes() const {
  return params.empty() ? 0 : OffsetOf(params.size() - 1) + params.back();
}

bool IsImageText(const char* image) {
  while (*image == ' ' || *image == '\n' || *image == '\t' || *image == '\r') ++image;
  return *image == '#' || std::strncmp(image, "kernel ", 7) == 0;
}

Result<std::vector<Kernel>> ParseImage(std::string_view text) {
  std::vector<Kernel> kernels;
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view rest = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    const auto wrong = [&](const std::string& what) {
      return Error{"kernel image, line " + std::to_string(number) + ": " + what};
    };
    rest = rest.substr(0, rest.find('#'));
    const std::string_view first = NextWord(&rest);
    if (first.empty()) continue;
    if (first != "kernel") return wrong("'" + std::string(first) + "'; expected kernel NAME ...");
    Kernel kernel;
    kernel.name = NextWord(&rest);
    if (kernel.name.empty()) return wrong("a kernel without a name");
    for (std::string_view word = NextWord(&rest); !word.empty(); word = NextWord(&rest)) {
      const std::size_t equals = std::min(word.find('='), word.size());
      const std::string field(word.substr(0, equals));
      const std::string value(word.substr(std::min(equals + 1, word.size())));
      const std::string expected = ReadField(field, value, &kernel);
      if (!expected.empty()) {
        std::string what = "kernel ";
        what.append(kernel.name).append(": ").append(field).append(" is '").append(value);
        return wrong(what.append("'; expected ").append(expected));
      }
    }
    if (kernel.action != Action::kNone) {
      if (!kernel.sized) kernel.params = ParamsOf(kernel.action);
      kernel.sized = true;
      if (kernel.params != ParamsOf(kernel.action)) {
        return wrong("kernel " + kernel.name + ": params do not fit do=; expected " +
                     (kernel.action == Action::kScale ? "8,8,4,4" : "8,8,4"));
      }
    }
    kernels.push_back(std::move(kernel));
  }
  return kernels;
}

void Compute(const Kernel& kernel, const std::byte* params) {
  const Operands operands = OperandsOf(kernel, params);
  for (std::size_t i = 0; i < operands.count; ++i) {
    switch (kernel.action) {
      case Action::kCopy:
        operands.to[i] = operands.from[i];
        break;
      case Action::kAdd:
        operands.to[i] += operands.from[i];
        break;
      case Action::kScale:
        operands.to[i] = operands.factor * operands.from[i];
        break;
      case Action::kNone:
        break;
    }
  }
}

std::vector<Use> UsesOf(const Kernel& kernel, const std::byte* params) {
  const Operands operands = OperandsOf(kernel, params);
  const std::size_t bytes = operands.count * sizeof(float);
  return {{reinterpret_cast<std::uintptr_t>(operands.to), bytes},
          {reinterpret_cast<std::uintptr_t>(operands.from), bytes}};
}

}  // namespace stagger::vgpu
