// SHA-256 (FIPS 180-4): what a model is known by. Pure and thread-safe; about 250 MB/s.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace stagger {

using Sha256 = std::array<std::uint8_t, 32>;

Sha256 HashOf(std::span<const std::byte> bytes);

std::string ToHex(const Sha256& hash);

}  // namespace stagger
