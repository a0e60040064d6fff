// Writing and reading a message's fields: explicit little-endian, bounded, canonical. Shared by the
// codecs of the daemon's and the executors' messages. Internal to wire; pure and thread-safe.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "wire/messages.h"
#include "wire/text.h"

namespace stagger::wire {

template <std::unsigned_integral T>
inline constexpr T kAny = std::numeric_limits<T>::max();

// What a bound is in the thousandths that a setting is told in.
inline constexpr std::uint32_t InThousandths(double bound) {
  return static_cast<std::uint32_t>(bound * 1000 + 0.5);
}

// Writes fields; past the end of `out` it only counts, so that one pass tells the size needed.
class Writer {
 public:
  static constexpr bool kWrites = true;
  explicit Writer(std::span<std::byte> out) : out_(out) {}

  template <std::unsigned_integral T>
  void Number(T value, T low = 0, T high = kAny<T>) {
    if (value < low || value > high) ok_ = false;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      Put(static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff));
    }
  }
  void Flag(bool value) { Number<std::uint8_t>(value ? 1 : 0); }
  // A number that people state, in thousandths; a time in microseconds.
  void Thousandths(double value, double low, double high) {
    const double rounded = std::round(value * 1000);
    if (!(rounded >= InThousandths(low) && rounded <= InThousandths(high))) ok_ = false;
    Number(ok_ ? static_cast<std::uint32_t>(rounded) : 0U);
  }
  void Thousandths(Duration value, double low, double high) { Thousandths(ToMs(value), low, high); }
  template <typename E>
  void Choice(E value, E last) {
    Number(static_cast<std::uint8_t>(value), std::uint8_t{0}, static_cast<std::uint8_t>(last));
  }
  void Time(Duration value) {
    if (value < Duration{0} || value > kMaxDuration) ok_ = false;
    Number(static_cast<std::uint64_t>(value.count()));
  }
  void Bytes(std::string_view value, std::size_t max) {
    static_assert(kMaxChunk <= kAny<std::uint16_t>);
    if (value.size() > max) {
      ok_ = false;
      return;
    }
    Number(static_cast<std::uint16_t>(value.size()));
    for (const char c : value) Put(static_cast<std::byte>(c));
  }
  void Text(std::string_view value, std::size_t max) {
    Bytes(value, max);
    if (ok_ && !IsText(value)) ok_ = false;
  }

  template <std::size_t kSize>
  void Raw(const std::array<std::uint8_t, kSize>& value) {
    for (const std::uint8_t byte : value) Put(static_cast<std::byte>(byte));
  }
  template <typename T>
  void Count(const std::vector<T>& list, std::uint8_t max) {
    if (list.size() > max) ok_ = false;
    Number(static_cast<std::uint8_t>(list.size()));
  }

  // Before fields that an older peer does not send.
  static bool More() { return true; }

  bool ok() const { return ok_; }
  std::size_t size() const { return size_; }

 private:
  void Put(std::byte b) {
    if (size_ < out_.size()) out_[size_] = b;
    ++size_;
  }

  std::span<std::byte> out_;
  std::size_t size_ = 0;
  bool ok_ = true;
};

// Reads fields; after the first error nothing more is read or changed.
class Reader {
 public:
  static constexpr bool kWrites = false;
  explicit Reader(std::span<const std::byte> in) : in_(in) {}

  template <std::unsigned_integral T>
  void Number(T& value, T low = 0, T high = kAny<T>) {
    std::uint64_t raw = 0;
    const auto bytes = Take(sizeof(T));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      raw |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    }
    const T read = static_cast<T>(raw);
    if (!ok_ || read < low || read > high) {
      ok_ = false;
      return;
    }
    value = read;
  }
  void Flag(bool& value) {
    std::uint8_t raw = 0;
    Number<std::uint8_t>(raw, 0, 1);
    value = raw == 1;
  }
  void Thousandths(double& value, double low, double high) {
    std::uint32_t raw = 0;
    Number(raw, InThousandths(low), InThousandths(high));
    if (ok_) value = raw / 1000.0;
  }
  void Thousandths(Duration& value, double low, double high) {
    std::uint32_t raw = 0;
    Number(raw, InThousandths(low), InThousandths(high));
    if (ok_) value = std::chrono::microseconds{raw};
  }
  template <typename E>
  void Choice(E& value, E last) {
    std::uint8_t raw = static_cast<std::uint8_t>(value);
    Number(raw, std::uint8_t{0}, static_cast<std::uint8_t>(last));
    value = static_cast<E>(raw);
  }
  void Time(Duration& value) {
    std::uint64_t raw = 0;
    Number<std::uint64_t>(raw, 0, static_cast<std::uint64_t>(kMaxDuration.count()));
    value = Duration{static_cast<std::int64_t>(raw)};
  }
  void Bytes(std::string& value, std::size_t max) {
    const std::string_view bytes = TakeString(max);
    value.assign(bytes.data(), bytes.size());
  }
  void Text(std::string& value, std::size_t max) {
    const std::string_view bytes = TakeString(max);
    if (!IsText(bytes)) ok_ = false;
    if (ok_) value.assign(bytes.data(), bytes.size());
  }

  template <std::size_t kSize>
  void Raw(std::array<std::uint8_t, kSize>& value) {
    const auto bytes = Take(kSize);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      value[i] = std::to_integer<std::uint8_t>(bytes[i]);
  }
  template <typename T>
  void Count(std::vector<T>& list, std::uint8_t max) {
    std::uint8_t count = 0;
    Number<std::uint8_t>(count, 0, max);
    if (ok_) list.resize(count);
  }

  // Whether the peer sent the fields that come next; an older one ends here, and they keep their
  // defaults.
  bool More() const { return ok_ && !in_.empty(); }

  bool ok() const { return ok_; }
  std::size_t left() const { return in_.size(); }

 private:
  std::span<const std::byte> Take(std::size_t count) {
    if (!ok_ || count > in_.size()) {
      ok_ = false;
      return {};
    }
    const auto taken = in_.first(count);
    in_ = in_.subspan(count);
    return taken;
  }
  std::string_view TakeString(std::size_t max) {
    std::uint16_t size = 0;
    Number<std::uint16_t>(size);
    if (size > max) ok_ = false;
    const auto bytes = Take(size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::span<const std::byte> in_;
  bool ok_ = true;
};

// A message's fields are listed once, for both directions: Fields(archive, Ref<A, M>). A field
// that is appended later stands last, behind `if (!a.More()) return;`.
template <typename A, typename M>
using Ref = std::conditional_t<A::kWrites, const M&, M&>;

// Fields whose types say all: flags, times, ids, devices, and numbers without a bound.
template <typename A, typename... T>
void All(A& a, T&... fields) {
  const auto one = [&a]<typename F>(F& field) {
    using Plain = std::remove_const_t<F>;
    if constexpr (std::is_same_v<Plain, bool>) {
      a.Flag(field);
    } else if constexpr (std::is_same_v<Plain, Duration>) {
      a.Time(field);
    } else if constexpr (std::is_same_v<Plain, DeviceId>) {
      a.Number(field.value, 0U, kMaxDevice);
    } else if constexpr (std::unsigned_integral<Plain>) {
      a.Number(field);
    } else {
      a.Number(field.value);
    }
  };
  (one(fields), ...);
}

}  // namespace stagger::wire
