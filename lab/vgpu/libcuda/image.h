// Kernel images as the virtual GPU reads them: a text of ours, or anything else (PTX, cubin,
// fatbin), of which nothing is known but that it has every kernel it is asked for.
//
//   # a comment
//   kernel NAME [cost=45ms] [demand=0.4] [class=body|post] [params=8,8,4] [do=copy|add|scale]
//
// cost takes ns, us, ms or s, or is "forever". What is not said comes from the model or from
// `stagger vgpu --kernel-cost`. do=copy: (float* to, const float* from, int n); do=add: the same,
// adding; do=scale: (float* to, const float* from, float factor, int n). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stagger::vgpu {

enum class Action : std::uint8_t { kNone, kCopy, kAdd, kScale };

struct Kernel {
  std::string name;
  std::int64_t cost_ns = -1;  // -1: not said
  double demand = -1;         // likewise
  std::uint8_t post = 2;      // 0 body, 1 post, 2 not said
  Action action = Action::kNone;
  bool sized = false;  // whether `params` is known
  std::vector<std::uint32_t> params;

  std::size_t params_bytes() const;
  std::size_t OffsetOf(std::size_t index) const;
};

// Whether a module's bytes are a text of ours. Looks at the first few only.
bool IsImageText(const char* image);

// Error: names the line, the field, its value and what was expected.
Result<std::vector<Kernel>> ParseImage(std::string_view text);

// What a do= kernel does to memory, with its packed parameters.
void Compute(const Kernel& kernel, const std::byte* params);
// The memory it uses: pairs of address and bytes.
struct Use {
  std::uintptr_t address;
  std::size_t bytes;
};
std::vector<Use> UsesOf(const Kernel& kernel, const std::byte* params);

}  // namespace stagger::vgpu
